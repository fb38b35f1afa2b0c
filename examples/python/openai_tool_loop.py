# SPDX-License-Identifier: MIT
"""An OpenAI-style tool loop with the opt-out tool in it.

``model(messages, tools)`` returns the assistant's message; with the openai package that is

    client.chat.completions.create(model=..., messages=messages, tools=tools).choices[0].message.model_dump()

Run as a program it plays a recorded conversation: python3 openai_tool_loop.py recorded/openai.json
"""

import json
import sys
import tempfile

import recoptout


def system_prompt(company, language):
    return f"You are the voice of {company}.\n" + recoptout.sentence("guidance", language)


def turn(call, model, messages, other_tools, language):
    """Let the model speak until it has no more tools to call. Returns what it says to the caller."""
    tools = [tool.definition for tool in other_tools.values()]  # yours: anything with a definition that can be called
    if call.opt_out_enabled:  # otherwise the agent has no such tool
        tools.append(call.tool_definition("openai-chat"))
    while True:
        reply = model(messages, tools)
        messages.append(reply)
        answer = call.tool_call(reply, "openai-chat", language=language)
        messages += answer.data or []
        for asked in reply.get("tool_calls") or []:
            tool = other_tools.get(asked["function"]["name"])
            if tool is not None:
                messages.append({"role": "tool", "tool_call_id": asked["id"], "content": tool(asked)})
        if not reply.get("tool_calls"):
            untrue = call.agent_said(reply["content"], language)
            if untrue:  # it claims what is not so: say what is, instead
                return recoptout.sentence("trouble", language)
            return reply["content"]


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
                messages = [{"role": "system", "content": system_prompt("Acme", language)}]
                for said in recorded["caller"]:
                    messages.append({"role": "user", "content": said})
                    print("caller:", said)
                    print("agent: ", turn(call, lambda m, t: next(replies), messages, {}, language))
                print("status:", call.receipt.status if call.receipt else "recording")


if __name__ == "__main__":
    main(sys.argv[1])
