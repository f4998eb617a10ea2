"""Who answers: a local model, or an endpoint that speaks OpenAI's protocol; both behind `base.Teacher`."""
