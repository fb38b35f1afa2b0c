# SPDX-License-Identifier: MIT
"""An Anthropic-style tool loop with the opt-out tool in it.

``model(messages, tools)`` returns the assistant's message; with the anthropic package that is

    client.messages.create(model=..., max_tokens=1024, messages=messages, tools=tools).model_dump()

Run as a program it plays a recorded conversation: python3 anthropic_tool_loop.py recorded/anthropic.json
"""

import json
import sys
import tempfile

import recoptout


def turn(call, model, messages, language):
    """Let the model speak until it has no more tools to call. Returns what it says to the caller."""
    tools = [call.tool_definition("anthropic")] if call.opt_out_enabled else []
    while True:
        reply = model(messages, tools)
        messages.append({"role": "assistant", "content": reply["content"]})
        answer = call.tool_call(reply, "anthropic", language=language)
        if answer.data:
            messages.append({"role": "user", "content": answer.data})  # tool_result blocks
            continue
        said = " ".join(block["text"] for block in reply["content"] if block["type"] == "text")
        if call.agent_said(said, language):  # it claims what is not so: say what is, instead
            return recoptout.sentence("trouble", language)
        return said


def main(path):
    with open(path, encoding="utf-8") as file:
        recorded = json.load(file)
    replies = iter(recorded["replies"])
    language = recorded["language"]
    with tempfile.TemporaryDirectory() as folder:
        with recoptout.Engine(folder + "/state", folder + "/out", opt_out_enabled=True) as engine:
            with engine.session(recorded["call_id"]) as call:
                leg = call.add_leg("caller")
                call.start()
                call.push(leg, b"\xff" * 160)
                messages = []
                for said in recorded["caller"]:
                    messages.append({"role": "user", "content": said})
                    print("caller:", said)
                    print("agent: ", turn(call, lambda m, t: next(replies), messages, language))
                print("status:", call.receipt.status if call.receipt else "recording")


if __name__ == "__main__":
    main(sys.argv[1])
