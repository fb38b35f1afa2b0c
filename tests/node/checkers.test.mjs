// SPDX-License-Identifier: MIT
// The definitions as the platforms' own types and a JSON Schema validator see them, and the handler in Node.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import { build, engine, root, run } from './support.mjs';

const here = import.meta.dirname;

async function definitions(t) {
  const served = await engine(t, 'x');
  const found = JSON.parse(await served.ask('definitions'));
  return found;
}

// a folder beside node_modules, so that packages are found from it
function workFolder() {
  return mkdtempSync(join(here, 'work-'));
}

test('definitions compile against the types of openai, @anthropic-ai/sdk and the MCP SDK', async (t) => {
  const tools = await definitions(t);
  const types = {
    'openai-chat': 'OpenAI.Chat.Completions.ChatCompletionTool',
    'openai-responses': 'OpenAI.Responses.Tool',
    'openai-realtime': 'OpenAI.Realtime.RealtimeFunctionTool',
    anthropic: 'Anthropic.Messages.Tool',
    mcp: 'McpTool',
  };
  const lines = [
    "import type OpenAI from 'openai';", "import type Anthropic from '@anthropic-ai/sdk';",
    "import type { Tool as McpTool } from '@modelcontextprotocol/sdk/types.js';",
  ];
  for (const [dialect, type] of Object.entries(types))
    for (const suffix of ['', '-strict'])
      lines.push(`export const ${(dialect + suffix).replaceAll('-', '_')}: ${type} = ${JSON.stringify(tools[dialect + suffix])};`);
  const work = workFolder();
  const tsc = join(here, 'node_modules/typescript/bin/tsc');
  const compile = async (name, text) => {
    writeFileSync(join(work, name), text);
    return run(process.execPath, [tsc, '--strict', '--noEmit', '--skipLibCheck', '--module', 'nodenext',
      '--moduleResolution', 'nodenext', '--target', 'es2022', join(work, name)]);
  };
  try {
    const good = await compile('good.ts', lines.join('\n'));
    assert.equal(good.code, 0, good.out);
    // and the check would notice: a member is misspelt
    const bad = await compile('bad.ts', lines.join('\n').replace('"parameters"', '"parametres"'));
    assert.notEqual(bad.code, 0);
  } finally {
    rmSync(work, { recursive: true });
  }
});

test('parameters are JSON Schema 2020-12 and accept a call without any', async (t) => {
  const tools = await definitions(t);
  const schemaOf = (t) => t.parameters ?? t.function?.parameters ?? t.input_schema ?? t.parametersJsonSchema ??
    t.inputSchema ?? t.api_schema?.request_body_schema;
  let compiled = 0;
  for (const [dialect, tool] of Object.entries(tools)) {
    const ajv = new Ajv2020({ strict: true });
    const accepts = ajv.compile(schemaOf(tool));
    compiled++;
    assert.ok(accepts({}), dialect);
    assert.equal(accepts({ reason: 'please' }), !dialect.endsWith('-strict'), dialect);
    if (tool.outputSchema) {
      const fits = ajv.compile(tool.outputSchema);
      assert.ok(fits({ status: 'erased', sentence: '...', receipt_id: '...' }));
      assert.ok(!fits({ status: 'erased' }));
    }
  }
  assert.equal(compiled, 24);
});

test('names and lengths are what the platforms allow', async (t) => {
  for (const tool of Object.values(await definitions(t))) {
    const name = tool.name ?? tool.function.name;
    assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/);
    assert.ok((tool.description ?? tool.function.description).length <= 1024);
  }
});

const example = join(root, 'examples/node/opt_out.mjs');

test('the loop in Node, as a program over recorded conversations', async (t) => {
  const work = workFolder();
  try {
    cpSync(example, join(work, 'opt_out.mjs'));
    for (const [name, last] of [['openai', /What about your invoice/], ['openai_lie', /What else can I do/]]) {
      const done = await run(process.execPath, [join(work, 'opt_out.mjs'), join(root, `examples/python/recorded/${name}.json`)]);
      assert.equal(done.code, 0, done.err);
      const lines = done.out.trim().split('\n');
      assert.match(lines.at(-3), last);
      assert.match(lines.at(-2), /^status: (durable|erased|verified)$/);
      assert.equal(lines.at(-1), 'the next frame: -13');
    }
  } finally {
    rmSync(work, { recursive: true });
  }
});

test('the loop in Node loses no call, leaves none unanswered and says no lie', async (t) => {
  const work = workFolder();
  const { openai } = JSON.parse(readFileSync(join(root, 'examples/python/tests/loops.json'), 'utf8'));
  process.env.RECOPTOUT_LIBRARY = join(build, 'librecoptout.so.2');
  try {
    cpSync(example, join(work, 'opt_out.mjs'));
    const loop = await import(pathToFileURL(join(work, 'opt_out.mjs')).href);
    for (const talk of openai.filter((one) => !one.held))
      await t.test(talk.name, async () => {
        const call = loop.begin(mkdtempSync(join(work, 'call-')), 'loop');
        const messages = [], replies = [...talk.replies], frame = Buffer.alloc(160, 0xff);
        const tools = { invoice: () => '12 euros', broken: () => { throw new Error('broken'); } };
        assert.equal(call.push(frame), 0);
        const said = await loop.turn(call.engine, call.session, () => replies.shift() ?? talk.endless, messages, tools, 'en');
        if (talk.said[0] === 'TRUTH') assert.match(said, /has been stopped/);
        else assert.equal(said, talk.said[0] === 'ERROR' ? loop.sentence(13, 'en') : talk.said[0]);
        assert.equal(call.push(frame), talk.opted_out ? -13 : 0);
        if (talk.tools) {
          const asked = messages.flatMap((m) => (m.tool_calls ?? []).map((c) => c.id));
          const answered = messages.filter((m) => m.role === 'tool').map((m) => m.tool_call_id);
          assert.deepEqual(asked.sort(), talk.tools);
          assert.deepEqual(answered.sort(), talk.tools);
        }
        assert.equal(messages.filter((m) => m.content === loop.CORRECTION).length, talk.corrected ?? 0);
        call.close();
      });
  } finally {
    rmSync(work, { recursive: true });
  }
});
