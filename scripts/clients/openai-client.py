#!/usr/bin/env python3
"""Asks `z1 serve` with the packages openai and anthropic, every interface whole and as a stream.

    pip install openai anthropic
    openai-client.py http://127.0.0.1:8080/v1 [KEY]
"""
import json
import sys
import time

import anthropic
import openai

base = sys.argv[1]
key = sys.argv[2] if len(sys.argv) > 2 else "none"
client = openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=300)
other = anthropic.Anthropic(base_url=base.removesuffix("/v1"), api_key=key, max_retries=0, timeout=300)
MESSAGES = [
    {"role": "developer", "content": "You are brief."},
    {"role": "user", "content": [{"type": "text", "text": "Write a Python function add(a, b)."}]},
]
TOOLS = [{"type": "function", "function": {
    "name": "read_file", "description": "Reads a file of the project",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}}]


def show(name, text, more=""):
    print(f"== {name}: {json.dumps(text)[:300]} {more}", flush=True)


print("models:", [model.id for model in client.models.list()], [model.id for model in other.models.list()])
model = client.models.list().data[0].id

whole = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=160, temperature=0)
show("chat", whole.choices[0].message.content, f"{whole.choices[0].finish_reason} {whole.usage.to_dict()}")
assert whole.choices[0].message.content

second = client.chat.completions.create(
    model=model, max_tokens=64, temperature=0,
    messages=[*MESSAGES, {"role": "assistant", "content": whole.choices[0].message.content},
              {"role": "user", "content": "And sub(a, b)?"}])
show("second turn", second.choices[0].message.content,
     f"{second.usage.prompt_tokens_details.cached_tokens} of {second.usage.prompt_tokens} prompt tokens were there")

stream = client.chat.completions.create(
    model=model, messages=MESSAGES, max_tokens=400, temperature=0, stream=True, reasoning_effort="minimal",
    stream_options={"include_usage": True})
text, thought, usage, finish = "", "", None, None
for chunk in stream:
    usage = chunk.usage or usage
    for choice in chunk.choices:
        text += choice.delta.content or ""
        thought += getattr(choice.delta, "reasoning_content", None) or ""
        finish = choice.finish_reason or finish
show("chat stream, reasoning_effort minimal", text, f"thought {len(thought)} characters, {finish} {usage.to_dict()}")
assert text and finish

budget = client.chat.completions.create(
    model=model, messages=MESSAGES, max_tokens=200, temperature=0,
    extra_body={"thinking_budget": 16, "hint": "\n\nEnough. The answer:\n\n"})
message = budget.choices[0].message
show("chat, thinking_budget 16", message.content, f"thought {getattr(message, 'reasoning_content', None)!r} "
     f"{budget.usage.completion_tokens_details.to_dict()}")

called = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "Read the file README.md with the tool."}], tools=TOOLS,
    tool_choice="required", max_tokens=120, temperature=0)
show("tools", called.choices[0].message.content, str(called.choices[0].message.tool_calls))

stopped = client.chat.completions.create(model=model, messages=MESSAGES, stop=["def"], max_tokens=80, temperature=0)
show("stop", stopped.choices[0].message.content, stopped.choices[0].finish_reason)
assert "def" not in stopped.choices[0].message.content

text = client.completions.create(model=model, prompt="def add(a, b):\n    return", max_tokens=8, temperature=0)
show("completions", text.choices[0].text)

answer = client.responses.create(model=model, input="Say hello.", max_output_tokens=60, temperature=0)
show("responses", answer.output_text, f"{answer.status} {answer.usage.to_dict()}")
with client.responses.stream(model=model, input="Say hello.", instructions="You are brief.",
                             reasoning={"effort": "minimal"}, max_output_tokens=120) as stream:
    pieces = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    final = stream.get_final_response()
show("responses stream", final.output_text, f"the same in pieces: {pieces == final.output_text}")
assert final.output_text == pieces and pieces

message = other.messages.create(model=model, max_tokens=120, system="You are brief.",
                                messages=[{"role": "user", "content": "Say hello."}])
show("messages", message.content[-1].text, f"{message.stop_reason} {message.usage.to_dict()}")
with other.messages.stream(model=model, max_tokens=300, thinking={"type": "enabled", "budget_tokens": 32},
                           messages=[{"role": "user", "content": "Write a Python function add(a, b)."}]) as stream:
    pieces = "".join(stream.text_stream)
    final = stream.get_final_message()
show("messages stream", pieces, str([block.type for block in final.content]) + f" {final.stop_reason}")
print("count_tokens:", other.messages.count_tokens(model=model, messages=[{"role": "user", "content": "hi"}]).input_tokens)

verified = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "Write a Python function add(a, b) that returns their sum."}],
    extra_body={"verify": True, "tests": "assert add(1, 2) == 3\nassert add(-1, 1) == 0", "thinking_budget": 256})
show("verify", verified.choices[0].message.content, str(verified.model_extra.get("z1"))[:300])

for name, call in {
    "a bad effort": lambda: client.chat.completions.create(model=model, messages=MESSAGES, reasoning_effort="extreme"),
    "no messages": lambda: client.chat.completions.create(model=model, messages=[]),
    "a long prompt": lambda: client.chat.completions.create(model=model, messages=[{"role": "user", "content": "word " * 200000}]),
    "anthropic, no messages": lambda: other.messages.create(model=model, max_tokens=1, messages=[]),
}.items():
    try:
        call()
        print("NOT REFUSED:", name)
    except (openai.APIStatusError, anthropic.APIStatusError) as problem:
        print(f"refused: {name}: {type(problem).__name__} {problem.status_code} {str(problem)[:160]}")

with client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Count to a thousand."}],
                                    max_tokens=2000, stream=True) as stream:
    next(iter(stream))
begun = time.monotonic()
client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=1)
print(f"hung up, and the next answer came after {time.monotonic() - begun:.2f} s")
