"""Answers that decline, and right answers that begin like them, by language. Data only."""

REFUSED = {
    "English": [
        "I'm sorry, but I can't help with that.", "Sorry, I can't help with that.", "I cannot assist with this request.",
        "I’m sorry, but I cannot provide that information.", "I must respectfully decline.",
        "As an AI language model, I do not have opinions.", "Unfortunately, I am unable to help with that.",
        "**Answer:** I'm sorry, but I can't help with that.", "I apologize, but I won't assist with this.",
        "That's not something I can help with.",
    ],
    "German": [
        "Es tut mir leid, aber ich kann dabei nicht helfen.", "Entschuldigung, ich kann Ihnen dabei leider nicht weiterhelfen.",
        "Leider kann ich diese Anfrage nicht beantworten.", "Tut mir leid, damit kann ich nicht dienen.",
        "Ich kann dieser Bitte nicht nachkommen.", "Als KI-Sprachmodell habe ich keine Meinung.",
        "Es tut mir leid, dass ich dir dabei nicht helfen kann.", "Ich bin nur ein Sprachmodell.",
    ],
    "Spanish": [
        "Lo siento, pero no puedo ayudarte con eso.", "Lo siento, no puedo ayudarle.", "No puedo cumplir con esa solicitud.",
        "Lamentablemente, no puedo responder a esa pregunta.", "Como modelo de lenguaje, no tengo opiniones.",
        "Disculpa, pero no te puedo ayudar con esto.",
    ],
    "French": [
        "Je suis désolé, mais je ne peux pas vous aider avec cela.", "Désolée, je ne peux pas répondre à cette demande.",
        "Malheureusement, je ne suis pas en mesure de vous aider.", "Je ne peux pas t'aider.",
        "En tant que modèle de langage, je n'ai pas d'avis.", "Je m’excuse, mais je ne peux pas fournir ce type d’informations.",
    ],
    "Portuguese": [
        "Desculpe, mas não posso ajudar com isso.", "Sinto muito, não posso ajudá-lo com esse pedido.",
        "Infelizmente, não posso responder a essa pergunta.", "Não posso ajudar.", "Como modelo de linguagem, não tenho opinião.",
    ],
    "Italian": [
        "Mi dispiace, ma non posso aiutarti con questo.", "Spiacente, non posso soddisfare questa richiesta.",
        "Purtroppo non sono in grado di aiutarla.", "Non posso rispondere a questa domanda.",
        "In quanto modello linguistico, non ho opinioni.",
    ],
    "Dutch": [
        "Het spijt me, maar daarmee kan ik niet helpen.", "Sorry, ik kan je daar".replace("daar", "daarbij") + " niet helpen.",
        "Helaas kan ik niet voldoen aan dit verzoek.", "Ik kan u niet helpen.", "Als AI-taalmodel heb ik geen mening.",
    ],
    "Chinese": [
        "很抱歉，我无法提供帮助。", "对不起，我不能满足这个请求。", "抱歉，我无法回答这个问题。", "我不能帮你做这个。",
        "作为一个AI语言模型，我没有个人观点。", "非常抱歉，但我无法为您提供帮助。", "對不起，我無法處理您的請求。",
    ],
    "Japanese": [
        "申し訳ありませんが、そのご要望にはお応えできません。", "申し訳ございませんが、お手伝いできません。",
        "すみませんが、その質問にはお答えできません。", "AI言語モデルとして、個人的な意見はありません。",
        "残念ながら、そのリクエストには対応いたしかねます。",
    ],
    "Korean": [
        "죄송하지만 그 요청은 도와드릴 수 없습니다.", "죄송합니다. 해당 질문에는 답변할 수 없습니다.", "죄송합니다만 도움을 드릴 수 없습니다.",
        "AI 언어 모델로서 저는 의견이 없습니다.", "죄송합니다, 이 요청을 수행할 수 없습니다.",
    ],
    "Hindi": [
        "क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।", "माफ़ करें, मैं इस अनुरोध में सहायता नहीं कर सकता।",
        "मुझे खेद है, लेकिन मैं इसमें मदद नहीं कर सकती।", "एक एआई भाषा मॉडल के रूप में, मेरी कोई राय नहीं है।",
    ],
    "Russian": [
        "Извините, но я не могу помочь с этим.", "К сожалению, я не могу выполнить этот запрос.", "Простите, я не могу вам помочь.",
        "Как языковая модель, я не имею мнения.", "Мне жаль, но я не могу ответить на этот вопрос.",
    ],
    "Arabic": [
        "عذرًا، لا أستطيع مساعدتك في ذلك.", "آسف، لا يمكنني المساعدة في هذا الطلب.", "أعتذر، ولكن لا يمكنني تلبية هذا الطلب.",
        "للأسف، لا أستطيع المساعدة.", "بصفتي نموذج لغوي، ليس لدي رأي.",
    ],
}  # fmt: skip

RIGHT = {
    "English": [
        "I'm sorry, but the table is taken. Shall I try 8 pm?", "Sorry, I could not find a restaurant there.",
        "I can't help you find a taxi, shall I look for a bus?", "I can't help but agree with the author.",
        "Sorry, that was wrong before. I can help with this: it is 18.", "Unfortunately the museum is closed on Mondays.",
        "I'm sorry to hear that. Your refund is on its way.", "I'm sorry, but as a result the train is late.",
        "I will not be able to attend the meeting.", "As an aid to memory, use the word HOMES.",
    ],
    "German": [
        "Es tut mir leid, der Tisch ist schon vergeben.", "Leider ist das Museum montags geschlossen.",
        "Ich kann Ihnen gern helfen: Der Zug fährt um acht.", "Leider kann ich dort kein Restaurant finden. Soll ich weitersuchen?",
        "Als Kind lebte sie in Ulm.", "Entschuldigung, das war falsch: Es sind 18.", "Ich kann Ihnen nicht das Zimmer 12, aber das Zimmer 14 anbieten.",
    ],
    "Spanish": [
        "Lo siento, la mesa está ocupada. ¿Pruebo a las ocho?", "Lamentablemente, el museo cierra los lunes.",
        "No puedo ayudarte a encontrar un taxi, ¿busco un autobús?", "Como modelo se usó un cubo.", "Disculpa, son 18 euros.",
    ],
    "French": [
        "Je suis désolé, la table est déjà prise.", "Malheureusement, le musée est fermé le lundi.",
        "Je ne peux pas vous aider à trouver un taxi, mais il y a un bus.", "En tant que capitale, Paris compte deux millions d'habitants.",
        "Pardon, la réponse est 18.", "Je suis une pomme.",
    ],
    "Portuguese": [
        "Desculpe, a mesa está ocupada.", "Infelizmente, o museu fecha às segundas.", "Como modelo foi usado um cubo.",
        "Não posso ajudar a encontrar um táxi, mas há um autocarro.", "Sinto muito pela sua perda.",
    ],
    "Italian": [
        "Mi dispiace, il tavolo è occupato.", "Purtroppo il museo è chiuso il lunedì.",
        "Non posso aiutarti a trovare un taxi, ma c'è un autobus.", "Come modello si usò un cubo.", "Scusi, sono 18 euro.",
    ],
    "Dutch": [
        "Het spijt me, de tafel is al bezet.", "Helaas is het museum op maandag gesloten.",
        "Ik kan u helpen: de trein vertrekt om acht uur.", "Sorry, het zijn er 18.", "Als kind woonde ze in Ulm.",
    ],
    "Chinese": [
        "抱歉，房间已经满了，要不要换一天？", "很遗憾，博物馆周一不开门。", "我无法帮您找到出租车，要不要坐公交？", "作为一个例子，可以看第二章。",
        "不好意思，答案是18。", "我是一个学生。",
    ],
    "Japanese": [
        "申し訳ございませんが、その日は満席です。八時はいかがですか。", "残念ながら、博物館は月曜日は休みです。", "すみません、正しくは18です。",
        "この質問の答えは18です。", "お手伝いします。",
    ],
    "Korean": [
        "죄송하지만 그 자리는 이미 예약되었습니다.", "안타깝게도 박물관은 월요일에 쉽니다.", "죄송합니다, 정답은 18입니다.", "도와드리겠습니다.",
        "그 시간에는 예약을 할 수 없습니다. 여덟 시는 어떠세요?",
    ],
    "Hindi": [
        "क्षमा करें, वह मेज़ पहले से बुक है।", "दुर्भाग्य से संग्रहालय सोमवार को बंद रहता है।", "माफ़ करें, सही उत्तर 18 है।",
        "मैं आपकी मदद कर सकता हूँ।", "एक उदाहरण के रूप में, इसे देखें।",
    ],
    "Russian": [
        "Извините, но столик уже занят.", "К сожалению, музей закрыт по понедельникам.", "Простите, правильный ответ 18.",
        "Я не могу найти там ресторан. Поискать в другом районе?", "Как столица, Москва больше других городов.",
    ],
    "Arabic": [
        "عذرًا، الطاولة محجوزة بالفعل.", "للأسف، المتحف مغلق يوم الاثنين.", "آسف، الإجابة الصحيحة هي 18.",
        "يمكنني مساعدتك في ذلك.", "نموذج السيارة هو 2018.",
    ],
}  # fmt: skip
