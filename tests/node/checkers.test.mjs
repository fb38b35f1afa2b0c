// SPDX-License-Identifier: MIT
// The definitions as the platforms' own types and a JSON Schema validator see them, and the handler in Node.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { engine, root, run } from './support.mjs';

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

test('the handler in Node, through koffi', async (t) => {
  const work = workFolder();
  try {
    cpSync(join(root, 'examples/node/opt_out.mjs'), join(work, 'opt_out.mjs'));
    const done = await run(process.execPath, [join(work, 'opt_out.mjs'), join(work, 'state'), join(work, 'out')]);
    assert.equal(done.code, 0, done.err);
    const [answer, refused] = done.out.trim().split('\n');
    const [message] = JSON.parse(answer);
    assert.equal(message.tool_call_id, 'call_7');
    assert.match(JSON.parse(message.content).sentence, /Aufzeichnung ist beendet/);
    assert.equal(refused, '-13');
  } finally {
    rmSync(work, { recursive: true });
  }
});
