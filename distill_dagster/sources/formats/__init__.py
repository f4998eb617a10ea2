"""The formats in which people write rows: chat, Alpaca, ShareGPT, prompt and completion, and so on."""
