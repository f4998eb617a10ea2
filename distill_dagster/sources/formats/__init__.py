"""The shapes in which people write a row: chat, Alpaca, ShareGPT, prompt and completion, and so on."""
