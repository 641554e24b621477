#!/usr/bin/env python3
"""Drives an Agent Client Protocol agent with the Python package agent-client-protocol.

    pip install agent-client-protocol
    acp-client.py z1 acp [ARGUMENTS]             a question, then a prompt that is cancelled
    acp-client.py --project DIR --task TEXT -- z1 acp ...   a change in a project, accepted
"""
import argparse
import asyncio
import os
import sys
import time

import acp
from acp.schema import AllowedOutcome, RequestPermissionResponse


class Editor(acp.Client):
    def __init__(self):
        self.message = ""
        self.thought = asyncio.Event()
        self.kinds = {}
        self.first = None

    async def session_update(self, session_id, update, **kwargs):
        kind = update.session_update
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "agent_message_chunk":
            self.message += update.content.text
        if kind == "agent_thought_chunk":
            self.thought.set()
        if kind in ("agent_message_chunk", "agent_thought_chunk") and self.first is None:
            self.first = time.monotonic()

    async def request_permission(self, session_id, tool_call, options, **kwargs):
        print("asked:", [(option.kind, option.name) for option in options], flush=True)
        allow = next(option for option in options if option.kind == "allow_once")
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=allow.option_id))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--task", default="What is two and two?")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = [word for word in args.command if word != "--"]
    cwd = os.path.abspath(args.project or ".")
    editor = Editor()
    async with acp.spawn_agent_process(editor, command[0], *command[1:], env=dict(os.environ), cwd=cwd) as (agent, _):
        hello = await agent.initialize(protocol_version=acp.PROTOCOL_VERSION)
        print("agent:", hello.agent_info.name, hello.agent_info.version, "version", hello.protocol_version)
        print("capabilities:", hello.agent_capabilities.session_capabilities.model_dump(exclude_none=True))
        new = await agent.new_session(cwd=cwd, mcp_servers=[])
        print("modes:", [mode.id for mode in new.modes.available_modes])
        print("options:", [option.id for option in new.config_options])
        begun = time.monotonic()
        end = await agent.prompt(session_id=new.session_id, prompt=[acp.text_block(args.task)])
        first = f", first text after {editor.first - begun:.2f} s" if editor.first else ""
        print(f"ended: {end.stop_reason} after {time.monotonic() - begun:.2f} s{first}")
        print("updates:", editor.kinds)
        print("message:", editor.message)
        if not args.project:
            await agent.set_session_mode(session_id=new.session_id, mode_id="fast")
            options = await agent.set_config_option(session_id=new.session_id, config_id="mode", value="deep")
            print("options after a change:", options.config_options[0].current_value)
            await agent.set_session_mode(session_id=new.session_id, mode_id="fast")
            editor.thought.clear()
            task = asyncio.create_task(
                agent.prompt(session_id=new.session_id, prompt=[acp.text_block("Think about everything.")])
            )
            await asyncio.wait_for(editor.thought.wait(), 120)
            begun = time.monotonic()
            await agent.cancel(session_id=new.session_id)
            end = await asyncio.wait_for(task, 60)
            print(f"cancelled: {end.stop_reason} after {time.monotonic() - begun:.3f} s")
        try:
            await agent.prompt(session_id="nobody", prompt=[acp.text_block("x")])
        except acp.RequestError as problem:
            print("unknown session:", problem.code)
        listed = await agent.list_sessions()
        print("sessions:", len(listed.sessions))
    return 0


sys.exit(asyncio.run(main()))
