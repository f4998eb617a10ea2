"""What each code of a refused source row means, in words, as the first table of docs/verdicts.md has them."""

VERDICTS = {
    "E001": "the row is not a JSON object in UTF-8, has the same key twice in one object, holds a number that is too "
    "large, or is longer than data.max_row_bytes",
    "E002": "messages (or the format's own key) is missing, is empty, or is not a list",
    "E003": "the first message is not a system message, and data.require_system requires one",
    "E004": "a message is not an object, its role is unknown, or it has no content",
    "E005": "user and assistant do not alternate after the system message",
    "E006": "a row of a single-turn task has no user turn, or more than one",
    "E007": "a conversation has a user turn without an answer, or no pair of user turn and answer at all",
    "E008": "the row names an unknown task",
    "E010": "a content is not text, is blank, or contains NUL",
    "E011": "one file holds the same row twice, or two different rows with one id",
    "E017": "the row holds something that changes the question and cannot be sent: tools, images, a form of the "
    "answer, a key whose value is not text",
    "E018": "the row says two things: a second system message, or a text beside the messages that no message holds",
}
