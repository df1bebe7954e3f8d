wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model": "smollm2-135m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}'
