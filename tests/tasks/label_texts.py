"""Texts of models and the labels that they mean. Data only."""

STARS = ["1*", "1", "2", "2*"]
INTENTS = ["card_arrival", "reverted_card_payment?", "don't know", "other"]
ODD_INTENTS = ["card_arrival", 'say "hi"?', "Überweisung"]
NLI = ["entailment", "not_entailment"]
STANCE = ["agree", "disagree", "do not agree", "N/A"]
WORLD = ["café", "ＡＴＭ", "straße", "да", "नहीं", "ご要望", "O'Reilly – Media", "C++", "C", "C#"]

# label set, text, label: the forms of the same label
FORMS = [
    (WORLD, "cafe\u0301", "café"),  # decomposed (NFD)
    (WORLD, "CAFÉ", "café"),
    (WORLD, "ca\u200bfé", "café"),  # zero-width space
    (WORLD, "\ufeffcafé", "café"),  # byte order mark
    (WORLD, "ca\u00adfé", "café"),  # soft hyphen
    (WORLD, "ATM", "ＡＴＭ"),  # full width
    (WORLD, "ＣＡＦＥ\u0301", "café"),
    (WORLD, "STRASSE", "straße"),  # full case folding
    (WORLD, "Да.", "да"),
    (WORLD, "«да»", "да"),
    (WORLD, "नही\u0902", "नहीं"),
    (WORLD, "नहीं\ufe0f", "नहीं"),  # variation selector
    (WORLD, "「ご要望」", "ご要望"),
    (WORLD, "こ\u3099要望", "ご要望"),  # voiced mark apart
    (WORLD, "O’Reilly — Media", "O'Reilly – Media"),  # curly apostrophe, another dash
    (WORLD, "O'Reilly\u00a0–\u2009Media", "O'Reilly – Media"),  # other blanks
    (INTENTS, "Don’t know.", "don't know"),
    (INTENTS, "**Label:** `card_arrival`", "card_arrival"),
    (INTENTS, "“other”", "other"),
    (INTENTS, "reverted_card_payment", "reverted_card_payment?"),
    (NLI, "Not_Entailment", "not_entailment"),
    (STANCE, "n/a", "N/A"),
    (STANCE, "N／A", "N/A"),
    (STANCE, "\u202aagree\u202c", "agree"),  # direction marks
    (STANCE, "(disagree)", "disagree"),
]

# label set, text, label or None: labels that a loose comparison would merge stay apart
APART = [
    (["yes?", "yes!"], "yes?", "yes?"),
    (["yes?", "yes!"], "Yes!", "yes!"),
    (["yes?", "yes!"], "yes", None),
    (["yes?", "yes!", "yes"], "Yes.", "yes"),
    (STARS, "1*", "1*"),
    (STARS, "1", "1"),
    (STARS, "**1**", "1"),
    (STARS, "**1***", "1*"),
    (STARS, "1.", "1"),
    (STARS, "1!", None),
    (["US", "us"], "US", "US"),
    (["US", "us"], "**us**", "us"),
    (["US", "us"], "Us", None),
    (WORLD, "c++", "C++"),
    (WORLD, "c", "C"),
    (WORLD, "c#", "C#"),
    (["a", "a."], "A!", None),
    (["a", "a."], "a.", "a."),
    (["ﬁt", "fit"], "fit", "fit"),  # a ligature
    (["ﬁt", "fit"], "Fit", None),
    (["①", "1"], "①", "①"),
    (["①", "1"], "1", "1"),
    (["(yes)", "yes"], "(yes)", "(yes)"),
    (["(yes)", "yes"], "yes", "yes"),
    (['"A"', "A"], '"A"', '"A"'),
    (["x²", "x2"], "x²", "x²"),
    (["not entailment", "entailment"], "not entailment", "not entailment"),
    (["-1", "1"], "-1", "-1"),
    (["+", "-"], "-", "-"),
    (["0-1", "01"], "0–1", "0-1"),
]

# text, label of NLI or None: a text that corrects itself, doubts, or only speaks of a label
CORRECTED = [
    ("The answer is entailment. Wait, no: it is neutral.", "neutral"),
    ("Answer: entailment\nWait, that is wrong. The answer is neutral.", "neutral"),
    ("Answer: entailment\n\nActually, neutral.", "neutral"),
    ("Answer: entailment\nHmm, no. It should be neutral.", "neutral"),
    ("Answer: entailment\n\nCorrection: neutral", "neutral"),
    ("The answer is entailment — no, neutral.", "neutral"),
    ("<answer>entailment</answer> Wait, no: neutral.", "neutral"),
    (r"$\boxed{entailment}$ Wait, I made a mistake. $\boxed{neutral}$", "neutral"),
    ("My first answer was entailment, but the correct answer is neutral.", "neutral"),
    ("Antwort: entailment\nNein, neutral.", "neutral"),
    ("I first thought the answer is entailment.", None),
    ("It is not that the answer is neutral.", None),
    ("It is wrong to say the answer is entailment.", None),
    ("If the note said so, the answer would be entailment.", None),
    ("The answer is entailment? No.", None),
    ("entailment? No.", None),
    ("Answer: entailment\nNo wait.", None),
    ("Answer: entailment.\nI was wrong.", None),
    ("Answer: entailment\nOn second thought, the premise never says so.", None),
    ("Answer: entailment (wait, no)", None),
    ("entailment. Wait, that's wrong.", None),
    ("Answer: entailment\n\nNo, neutral fits better.", None),
    ("Answer: entailment\nneutral", None),
    ("<answer>entailment</answer>\nScratch that.", None),
    (r"$\boxed{entailment}$ Oops, that was wrong.", None),
    (r"$\boxed{entailment}$ or $\boxed{neutral}$", None),
    ("Answer: entailment\n\nEDIT: neutral", "neutral"),
    ("Answer: entailment\nFinal: neutral", "neutral"),
    ("Answer: entailment\n\nCorrected answer: neutral", "neutral"),
    ("Answer: entailment\n(Strike that; neutral.)", "neutral"),
    ("Answer: entailment\nHypothesis 2: neutral", None),
    ("Answer: entailment\nAt a second look neutral is the better label.", "neutral"),
    ("The answer is entailment. But that is not right; the premise is silent.", None),
    ("The answer is not entailment but neutral.", None),
]

# text, label of NLI: words that look like a correction, and are none
NOT_CORRECTED = [
    ("The answer is neutral. The note is silent.", "neutral"),
    ("Answer: neutral\n\nThe relationship is not stated in the text.", "neutral"),
    ("Answer: neutral\nActually, the note is silent on it.", "neutral"),
    ("Answer: neutral\n\nOne might think the answer is entailment, but no.", "neutral"),
    ("Answer: neutral\nNo evidence supports it.", "neutral"),
    ("Answer: neutral\nWait for no one.", "neutral"),
    ("Answer: neutral\n\nSorry for the short reply.", "neutral"),
    ("Answer: contradiction\nThe hypothesis is wrong.", "contradiction"),
    ("Answer: contradiction\nThis is wrong because she left.", "contradiction"),
    ("The text does not say, so the answer is neutral.", "neutral"),
    ("It may seem odd, but the answer is neutral.", "neutral"),
    ("I think the answer is neutral.", "neutral"),
    ("neutral! The note says nothing.", "neutral"),
    ("Answer: neutral\nEntailment is not the right label.", "neutral"),
    ("Answer: neutral\nEntailment: it would need more.", "neutral"),
    ("The answer is neutral. However, entailment is also possible.", "neutral"),
    ("Answer: neutral\n\nSo neutral is the right label.", "neutral"),
    ("Answer: neutral\n\nLet me know if you need more.", "neutral"),
    ("Initially: Answer: entailment\nFinal answer: neutral", "neutral"),
    (r"The final answer is: $\boxed{neutral}$", "neutral"),
    (r"It is silent, so $\boxed{\text{neutral}}$.", "neutral"),
    ("- neutral", "neutral"),
    ("A) neutral", "neutral"),
    ("1. neutral", "neutral"),
    ("Prediction: neutral", "neutral"),
    ("Predicted label: neutral", "neutral"),
    ("标签：neutral", "neutral"),
    ("Etikett: neutral", "neutral"),
    ("<label>neutral</label>", "neutral"),
    ("__neutral__", "neutral"),
]

# text, label of NLI or None: where a text states its label
STATED = [
    ("**Answer:** neutral", "neutral"),
    ("Final answer: neutral", "neutral"),
    ("**Final Answer**: neutral", "neutral"),
    ("Answer: **neutral**.", "neutral"),
    ("**Answer: neutral**", "neutral"),
    ("*Answer:* neutral", "neutral"),
    ("### Answer\n\nneutral", "neutral"),
    ("## Final Answer: neutral", "neutral"),
    ("### **Answer**\nneutral.\n\nThe note is silent.", "neutral"),
    ("**Answer**\nneutral", "neutral"),
    ("> Answer: neutral", "neutral"),
    ("- Answer: neutral", "neutral"),
    ("✅ Final Answer: **neutral**", "neutral"),
    ("It is silent.\n\nAnswer: neutral\n\nEntailment would need more.", "neutral"),
    ("Answer: neutral (the note is silent)", "neutral"),
    ("My answer: neutral", "neutral"),
    ("Answer:\nneutral", "neutral"),
    ("<answer>neutral</answer>", "neutral"),
    ("It is silent. <answer> Neutral </answer> Done.", "neutral"),
    ('```json\n{"answer": "neutral"}\n```', "neutral"),
    ('{"label": "neutral", "reason": "no entailment"}', "neutral"),
    ('Here it is:\n```json\n{"reason": "contradiction? no", "answer_choice": "Neutral"}\n```', "neutral"),
    ('[{"answer": "neutral"}]', "neutral"),
    ("```\nneutral\n```", "neutral"),
    ("The note is silent, so the answer is **neutral**.", "neutral"),
    ("The correct label is: neutral.", "neutral"),
    ("Classification: neutral", "neutral"),
    ("Antwort: neutral", "neutral"),
    ("Réponse : neutral", "neutral"),
    ("**Respuesta:** neutral", "neutral"),
    ("答案：neutral", "neutral"),
    ("Ответ: neutral", "neutral"),
    ("الإجابة: neutral", "neutral"),
    ("The answer is not neutral.", None),
    ("Answer: neither entailment nor neutral", None),
    ("It is neutral.\n\nAnswer:", None),
    ('{"answer": null}', None),
    ('{"answer": "neutral"', None),
    ("<answer>", None),
]
