// SPDX-License-Identifier: MIT
//
// An agent's loop in Node, through koffi: the C functions are called as they are. Node 18 or later.
//
//   npm install koffi
//   node opt_out.mjs ../python/recorded/openai.json
//
// A call is recorded while a recorded conversation is played; what the agent says is printed. RECOPTOUT_LIBRARY names the
// library where the system's loader does not find it; librecoptout-agent is looked for beside it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import koffi from 'koffi';

// The second library uses the first, so that this one is loaded before it.
const named = process.env.RECOPTOUT_LIBRARY ?? 'librecoptout.so.2', beside = dirname(named);
const lib = koffi.load(named);
const agent = koffi.load(beside === '.' ? 'librecoptout-agent.so.2' : join(beside, 'librecoptout-agent.so.2'));

koffi.opaque('rco_engine');
koffi.opaque('rco_session');
koffi.opaque('rco_tool_answer');
koffi.opaque('rco_receipt');

// Structs are zeroed where a member is left out, and zero means "default" throughout; struct_size says how much we know.
koffi.struct('rco_engine_config', {
  struct_size: 'uint32_t', flags: 'uint32_t', sizes: koffi.array('uint64_t', 4), opt_out_enabled: 'uint32_t',
  numbers: koffi.array('uint32_t', 15), state_dir: 'const char *', output_dir: 'const char *', key_dir: 'const char *',
  ring_dir: 'const char *', rest: koffi.array('uint64_t', 15),
});
koffi.struct('rco_session_options', {
  struct_size: 'uint32_t', flags: 'uint32_t', consent: 'uint32_t', opt_out: 'uint32_t', legal_hold: 'uint32_t',
  reserved0: 'uint32_t', call_id: 'const char *', recorder: 'void *', recorder_user_data: 'void *', user_data: 'void *',
  reserved1: 'void *',
});
koffi.struct('rco_tool_request', {
  struct_size: 'uint32_t', flags: 'uint32_t', dialect: 'uint32_t', wait_ms: 'uint32_t', session: 'rco_session *',
  call_id: 'const char *', language: 'const char *', company: 'const char *', book: 'void *', json: 'const char *',
  json_bytes: 'size_t', source: 'const char *', reserved: 'void *',
});

const detail = lib.func('const char *rco_error_detail()');
const abiSize = lib.func('uint32_t rco_abi_sizeof(uint32_t id)');
const agentAbiSize = agent.func('uint32_t rco_agent_abi_sizeof(uint32_t id)');
const engineCreate = lib.func('int rco_engine_create(const rco_engine_config *config, _Out_ rco_engine **engine)');
const engineFree = lib.func('void rco_engine_free(rco_engine *engine)');
const sessionCreate = lib.func(
  'int rco_session_create(rco_engine *engine, const rco_session_options *options, _Out_ rco_session **session)');
const addLeg = lib.func(
  'int rco_session_add_leg(rco_session *session, const char *label, uint32_t format, _Out_ uint32_t *leg)');
const start = lib.func('int rco_session_start(rco_session *session)');
const push = lib.func(
  'int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const uint8_t *data, size_t size)');
const sessionFree = lib.func('void rco_session_free(rco_session *session)');
const toolCall = agent.func(
  'int rco_tool_call(rco_engine *engine, const rco_tool_request *request, _Out_ rco_tool_answer **answer)');
const optOut = lib.func('int rco_opt_out(rco_session *session, void *options, _Out_ rco_receipt **receipt)');
const sessionReceipt = lib.func('int rco_session_receipt(rco_session *session, _Out_ rco_receipt **receipt)');
const receiptStatus = lib.func('uint32_t rco_receipt_status(rco_receipt *receipt)');
const receiptFree = lib.func('void rco_receipt_free(rco_receipt *receipt)');
const statusName = lib.func('const char *rco_status_name(uint32_t status)');
const checkClaims = agent.func(
  'int rco_session_check_claims(rco_session *session, const char *language, const char *text, size_t size, _Out_ uint32_t *untrue)');
const sentenceFor = agent.func('uint32_t rco_sentence_for(int code, uint32_t status)');
const sentenceGet = agent.func('int rco_sentence_get(void *book, const char *language, uint32_t sentence, ' +
  'const char *company, _Out_ char *text, size_t size, _Out_ size_t *length)');
const answerCalls = agent.func('uint32_t rco_tool_answer_calls(rco_tool_answer *answer)');
const answerSentence = agent.func('const char *rco_tool_answer_sentence(rco_tool_answer *answer)');
const answerJson = agent.func('const char *rco_tool_answer_json(rco_tool_answer *answer, size_t *len)');
const answerFree = agent.func('void rco_tool_answer_free(rco_tool_answer *answer)');

function check(code) {
  if (code < 0) throw new Error(`${code}: ${detail()}`);
  return code;
}

// The layouts above are compared with the library's, so that a mistake is noticed here and not in a call.
for (const [id, name, size] of [
  [1, 'rco_engine_config', abiSize], [2, 'rco_session_options', abiSize], [26, 'rco_tool_request', agentAbiSize]])
  if (size(id) < koffi.sizeof(name)) throw new Error(`${name} has another layout in this library`);

function sized(name, values) {
  return { ...koffi.decode(Buffer.alloc(koffi.sizeof(name)), name), struct_size: koffi.sizeof(name), ...values };
}

const TOOL_NONBLOCK = 2, GUIDANCE = 2, ERROR = 13; // of recoptout/agent.h
const ROUNDS = 8; // of tools in one turn; a model that wants more is going in circles

export const CORRECTION = 'Nothing has been stopped or deleted: only the tool recording_opt_out does that. ' +
  'If the caller asked for it, call the tool now. If not, do not speak of the recording.';

export function sentence(number, language) {
  const text = Buffer.alloc(4096), length = [0];
  check(sentenceGet(null, language, number, null, text, text.length, length));
  return text.toString('utf8', 0, Number(length[0]));
}

function readAnswer(handle) {
  const json = answerJson(handle, null);
  const answer = { calls: answerCalls(handle), sentence: answerSentence(handle), data: json === '' ? null : JSON.parse(json) };
  answerFree(handle);
  return answer;
}

/**
 * What a message of the model's did to the call, and the answer for the platform. If it called our tool, recording has stopped
 * before this waits for anything; the disk is waited for on another thread.
 */
export async function handleToolCall(engine, session, message, language) {
  const json = JSON.stringify(message), out = [null];
  const request = sized('rco_tool_request', { session, language, json, json_bytes: Buffer.byteLength(json) });
  const first = toolCall(engine, { ...request, flags: TOOL_NONBLOCK }, out);
  if (out[0] === null) throw new Error(`${first}: ${detail()}`);
  const stopped = readAnswer(out[0]);
  if (stopped.calls === 0) return stopped;
  out[0] = null;
  const code = await new Promise((resolve, reject) => {
    toolCall.async(engine, request, out, (error, result) => (error ? reject(error) : resolve(result)));
  });
  if (out[0] === null) throw new Error(`${code}: no memory for the answer`);
  return readAnswer(out[0]);
}

/** The sentence that is true now; null while nobody has objected. */
function truthOf(session, language) {
  const out = [null];
  if (sessionReceipt(session, out) !== 0) return null;
  const status = receiptStatus(out[0]);
  receiptFree(out[0]);
  return sentence(sentenceFor(0, status), language);
}

/** The model says again what it was told not to be so, and does not call the tool: its words are the objection. */
function objectForTheCaller(session, language) {
  const out = [null];
  const code = optOut(session, null, out);
  const status = out[0] === null ? 0 : receiptStatus(out[0]);
  if (out[0] !== null) receiptFree(out[0]);
  return sentence(sentenceFor(code, status), language);
}

function isUntrue(session, language, text) {
  const untrue = [0];
  check(checkClaims(session, language, text, Buffer.byteLength(text), untrue));
  return untrue[0] !== 0;
}

/** What the model says: content may be null, text or parts, and a refusal stands beside it. */
function textOf(reply) {
  const parts = typeof reply.content === 'string' ? [{ text: reply.content }] : reply.content ?? [];
  return parts.map((part) => part.text ?? part.refusal ?? '').join(' ') || (reply.refusal ?? '');
}

/** The answer to a call of another tool. Each call has to be answered, also one of a tool that there is not. */
async function resultOf(otherTools, asked) {
  const tool = otherTools[asked.function?.name];
  if (tool === undefined) return 'error: there is no such tool';
  try {
    return await tool(asked.function.arguments);
  } catch (why) { // the model is told, and so are you
    console.error(asked.function.name, why);
    return `error: ${why.message}`;
  }
}

/** Let the model speak until it has no more tools to call. Returns what is to be said to the caller, '' for nothing. */
export async function turn(engine, session, model, messages, otherTools, language) {
  const spoken = [];
  let truth = '', corrected = false;
  for (let round = 0; round < ROUNDS; round++) {
    const reply = await model(messages);
    messages.push(reply);
    const answer = await handleToolCall(engine, session, reply, language); // first: your other tools may take their time
    if (answer.calls > 0) truth = answer.sentence;
    const results = [answer.data ?? []].flat();
    const answered = new Set(results.map((result) => result.tool_call_id));
    for (const asked of reply.tool_calls ?? [])
      if (!answered.has(asked.id))
        results.push({ role: 'tool', tool_call_id: asked.id, content: await resultOf(otherTools, asked) });
    messages.push(...results);
    let said = textOf(reply);
    if (said !== '' && isUntrue(session, language, said)) { // it claims what is not so: it is not said
      const now = truthOf(session, language);
      if (now === null && !corrected) {
        messages.push({ role: 'system', content: CORRECTION });
        corrected = true;
        continue;
      }
      truth = now ?? objectForTheCaller(session, language);
      said = '';
    }
    if (said !== '') spoken.push(said);
    if (results.length === 0) return [...spoken, ...(truth !== '' && said === '' ? [truth] : [])].join(' ');
  }
  return truth || sentence(ERROR, language);
}

/** An engine and a call that is being recorded; close() ends both. */
export function begin(folder, callId) {
  const out = [null], leg = [0];
  check(engineCreate(sized('rco_engine_config', {
    opt_out_enabled: 1, state_dir: join(folder, 'state'), output_dir: join(folder, 'out'),
  }), out));
  const engine = out[0];
  check(sessionCreate(engine, sized('rco_session_options', { call_id: callId }), out));
  const session = out[0];
  check(addLeg(session, 'caller', 1, leg));
  check(start(session));
  return {
    engine, session,
    /** 0, or -13 (RCO_E_OPTED_OUT) when the caller has objected */
    push: (frame) => push(session, leg[0], 1, frame, frame.length),
    status() {
      return sessionReceipt(session, out) === 0 ? [statusName(receiptStatus(out[0])), receiptFree(out[0])][0] : 'recording';
    },
    close() { sessionFree(session); engineFree(engine); },
  };
}

async function main(path) {
  const { call_id, language, caller, replies } = JSON.parse(readFileSync(path, 'utf8'));
  const folder = mkdtempSync(join(tmpdir(), 'opt-out-'));
  const call = begin(folder, call_id);
  const messages = [{ role: 'system', content: 'You are the voice of Acme.\n' + sentence(GUIDANCE, language) }];
  const frame = Buffer.alloc(160, 0xff);
  call.push(frame);
  for (const said of caller) {
    messages.push({ role: 'user', content: said });
    console.log('caller:', said);
    console.log('agent: ', await turn(call.engine, call.session, async () => replies.shift(), messages, {}, language));
  }
  console.log('status:', call.status());
  console.log('the next frame:', call.push(frame));
  call.close();
  rmSync(folder, { recursive: true });
}

if (process.argv[2] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv[2]);
