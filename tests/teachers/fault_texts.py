"""Errors as providers give them, and when their request is asked again."""

NOW, LATER, NEVER, STOP = "now and by the next run", "by the next run", "never again", "stops the shard"


def openai(message="no", code=None, kind="invalid_request_error"):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind, message="no"):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


STATUSES = {  # who: (status, body, when it is asked again)
    "Groq, flex tier full": (498, openai("Flex tier capacity exceeded", "capacity_exceeded"), NOW),
    "nginx, the client is gone": (499, "<html>499 Client Closed Request</html>", NOW),
    "Anthropic, overloaded": (529, anthropic("overloaded_error", "Overloaded"), NOW),
    "Cloudflare, no origin": (522, "error code: 522", NOW),
    "a status that nobody knows": (460, None, NOW),
    "a redirect that leads nowhere": (304, None, NOW),
    "Bedrock, throttled": (400, {"__type": "ThrottlingException", "message": "Too many requests"}, NOW),
    "Groq, JSON that the model broke": (400, openai("Failed to generate JSON.", "json_validate_failed"), NOW),
    "vLLM behind a router": (400, openai("Connection error: upstream connect error"), NOW),
    "Hugging Face, a cold model": (400, {"error": "Model x is currently loading", "estimated_time": 20.0}, NOW),
    "OpenRouter, a provider's fault as text": (
        400,
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"error":"overloaded"}'}}},
        NOW,
    ),
    "Google, a rate as 403": (
        403,
        {"error": {"errors": [{"reason": "rateLimitExceeded"}], "message": "Rate Limit"}},
        NOW,
    ),
    "Gemini, a quota of a minute": (
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and billing.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"retryDelay": "34.9s"}],
                }
            }
        ],
        NOW,
    ),
    "a parameter that the model does not take": (
        400,
        openai("Unsupported value: 'temperature'", "unsupported_value"),
        LATER,
    ),
    "FastAPI, a wrong field": (
        422,
        {"detail": [{"loc": ["body"], "msg": "extra fields", "input": "insufficient funds"}]},
        LATER,
    ),
    "a 400 without a reason": (400, None, LATER),
    "OpenAI, no room": (
        400,
        openai("This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
        NEVER,
    ),
    "Moonshot, no room": (400, openai("Invalid request: Your request exceeded model token limit: 262144"), NEVER),
    "Anthropic, no room": (
        400,
        anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000"),
        NEVER,
    ),
    "llama.cpp, no room": (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
        NEVER,
    ),
    "Qianfan, no room": (400, openai("Prompt tokens too long", "tokens_too_long"), NEVER),
    "a body that is too large": (413, "Request Entity Too Large", NEVER),
    "Azure, a filtered prompt": (
        400,
        {
            "error": {
                "code": "content_filter",
                "message": "The response was filtered",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        NEVER,
    ),
    "DashScope, a filtered prompt": (
        400,
        openai("Input data may contain inappropriate content.", "data_inspection_failed"),
        NEVER,
    ),
    "DeepSeek, a filtered prompt": (400, openai("Content Exists Risk"), NEVER),
    "OpenRouter, a flagged prompt": (
        403,
        {"error": {"code": 403, "message": "Your input was flagged by moderation"}},
        NEVER,
    ),
    "a law forbids it": (451, {"error": {"message": "Unavailable for legal reasons"}}, NEVER),
    "Anthropic, low credit": (
        400,
        anthropic("invalid_request_error", "Your credit balance is too low to access the API"),
        STOP,
    ),
    "Anthropic, a limit of the month": (
        400,
        anthropic("invalid_request_error", "You have reached your specified API usage limits."),
        STOP,
    ),
    "OpenAI, the quota": (
        429,
        openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
        STOP,
    ),
    "OpenAI, the hard limit": (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached"), STOP),
    "OpenAI, not active": (429, openai("Your account is not active", "billing_not_active"), STOP),
    "Moonshot, the quota": (429, openai("Your account is suspended", kind="exceeded_current_quota_error"), STOP),
    "ChatGPT, the limit": (
        429,
        {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}},
        STOP,
    ),
    "DeepSeek": (402, openai("Insufficient Balance"), STOP),
    "a router, insufficient balance": (
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient"},
        STOP,
    ),
    "one-api": (403, openai("用户额度不足", "insufficient_user_quota", "new_api_error"), STOP),
    "DashScope, in arrears": (
        400,
        openai("Access denied, please make sure your account is in good standing.", "Arrearage"),
        STOP,
    ),
    "Volcengine, overdue": (
        403,
        openai("The request failed because your account has an overdue balance", "AccountOverdueError"),
        STOP,
    ),
    "Zhipu": (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, STOP),
    "Fireworks, suspended": (
        412,
        openai("Account x is suspended, possibly due to the monthly spending limit", "PRECONDITION_FAILED"),
        STOP,
    ),
    "xAI, as text": (
        429,
        "Your team has either used all available credits or reached its monthly spending limit.",
        STOP,
    ),
    "LiteLLM, the budget": (400, openai("Budget has been exceeded! Current cost: 10.1", kind="budget_exceeded"), STOP),
    "Qianfan, no money": (429, openai("Your account has insufficient balance", "BILLING_INSUFFICIENT_BALANCE"), STOP),
    "Gemini, a wrong key": (
        400,
        [{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}],
        STOP,
    ),
    "xAI, a wrong key": (
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***"},
        STOP,
    ),
    "the rest of 403": (403, {"message": "Forbidden"}, STOP),
    "Ollama, no such model": (404, openai("model 'x' not found, try pulling it first", kind="not_found_error"), STOP),
}


def choice(finish, content="half an", **more):
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish, **more}]
    }


BODIES = {  # of status 200
    "Zhipu, the network": (choice("network_error"), NOW),
    "OpenRouter, a choice with an error": (
        choice("error", error={"code": 502, "message": "Upstream idle timeout"}),
        NOW,
    ),
    "OpenRouter, stopped with an error": (choice("stop", error={"code": 429, "message": "Rate limited"}), NOW),
    "an error instead of choices": ({"error": {"message": "Internal error", "code": 500}}, NOW),
    "an error beside choices": ({**choice("stop"), "error": {"message": "worker died"}}, NOW),
    "LM Studio, the wrong path": ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, NOW),
    "DeepSeek, no resources": (choice("insufficient_system_resource"), NOW),
    "vLLM, aborted": (choice("abort"), NOW),
    "SGLang, aborted": (choice({"type": "abort", "message": "Aborted"}), NOW),
    "Cohere, an error": (choice("ERROR"), NOW),
    "LM Studio, a model unloaded": (choice("modelUnloaded"), NOW),
    "watsonx, out of time": (choice("time_limit"), NOW),
    "Mistral, an error": (choice("error"), NOW),
    "a word that sounds like a fault": (choice("engine_crashed"), NOW),
    "a rate, as the end": (choice("rate_limited"), NOW),
    "a status, as the end": (choice(503), NOW),
    "a lost connection, as the end": (choice("connection_lost"), NOW),
    "no room on the server, as the end": (choice("quota_exceeded"), NOW),
    "no such model, as the end": (choice("404"), NOW),
    "no money, as the end": (choice("insufficient_quota"), STOP),
    "no end and no text": (choice(None, None), NOW),
    "an unknown end and no text": (choice("banana", ""), NOW),
    "no choices": ({"choices": [], "usage": None}, NOW),
    "MiniMax, the rate": ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, NOW),
    "MiniMax, no money": (
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        STOP,
    ),
    "MiniMax, a sensitive prompt": ({"base_resp": {"status_code": 1026, "status_msg": "input sensitive"}}, NEVER),
    "OpenRouter, no credit on the way": (choice("error", error={"code": 402, "message": "Insufficient credits"}), STOP),
    "a context error on the way": (choice("error", error={"message": "maximum context length is 4096"}), NEVER),
    "content that is a number": (choice("stop", 4), LATER),
}
