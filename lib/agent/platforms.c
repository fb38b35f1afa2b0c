/* SPDX-License-Identifier: MIT */
#include "places.h"

#define ALONE    RCO__PLACE_ALONE
#define NAMED    RCO__PLACE_NAMED
#define EVENT    RCO__PLACE_EVENT
#define OLD      RCO__PLACE_OLD
#define AGAIN    RCO__PLACE_AGAIN
#define WIDE     RCO__PLACE_WIDE
#define BEGUN    RCO__PLACE_BEGUN
#define ENVELOPE RCO__PLACE_ENVELOPE

#define CHAT      RCO_DIALECT_OPENAI_CHAT
#define RESPONSES RCO_DIALECT_OPENAI_RESPONSES
#define REALTIME  RCO_DIALECT_OPENAI_REALTIME
#define CLIENT    RCO_DIALECT_ELEVENLABS_CLIENT
#define VAPI      RCO_DIALECT_VAPI
#define LIVE      RCO_DIALECT_GEMINI_LIVE
#define GEMINI    RCO_DIALECT_GEMINI
#define PLAIN     RCO_DIALECT_AUTO

#define MCP_VERSION "params _meta io.modelcontextprotocol/protocol_version"
#define GEMINI_CALL "function_call"
#define DETECTED    "query_result response_messages "
#define BY_MODEL    "?/role=assistant|model|ai"

/* The pieces of a message of LangChain are complete. */
#define ENDS(of)                                                                                                  \
	"+/" of "chunk_position;/" of "response_metadata finish_reason;/" of "response_metadata stop_reason;/" of \
	"response_metadata stop_reason;/" of "response_metadata done_reason"
#define SUM_ENDS    ENDS("")
#define DATA_ENDS   ENDS("data ")
#define KWARGS_ENDS ENDS("kwargs ")

/* A message of LangChain as it is stored; JavaScript's says what it is in its id alone. */
#define CONSTRUCTED(type, name) "/type=constructor,/kwargs type=" type ";/id []=" name

/* What became of a call; a line of a log. */
#define RESULT "result;output;content"
#define LOGGED "level;severity;msg;logger"

/* What an SDK hands to a tool, and no definition, result or event. */
#define BARE_MCP                                                                                                  \
	"!method;jsonrpc;type;response_type;description;input_schema;parameters;role;error;event;"                \
	"content;result;"                                                                                         \
	"output"

#define UI_CALL "state=input-available,+tool_call_id,!provider_executed=true,!output"

/* A FunctionCall of Gemini's SDKs, in which arguments that are empty may not be there. */
#define BARE_GEMINI                                                                                               \
	"!type;role;response;response_type;description;parameters;parameters_json_schema;error;method;" RESULT    \
	",!" LOGGED

/* Texts of an HTTP status (RFC 9110, 15), as gateways write them. */
#define HTTP_ERROR                                                                                                \
	"Bad Request|bad request|Unauthorized|unauthorized|Forbidden|forbidden|Not Found|not found|Method Not "   \
	"Allowed|Request Timeout|Too Many Requests|Internal Server Error|Internal server error|internal server "  \
	"error|Not Implemented|Bad Gateway|bad gateway|Service Unavailable|service unavailable|Gateway "          \
	"Timeout|gateway timeout|timeout|Timeout|Missing Authentication Token|Endpoint request timed "            \
	"out|Invalid API Key"

/* Types of events without a dot in them, of ElevenLabs first. */
#define EVENTS                                                                                                    \
	"agent_tool_request|agent_tool_response|agent_tool_response_full_payload|mcp_tool_call|mcp_connection_"   \
	"status|user_transcript|tentative_user_transcript|agent_response|agent_response_correction|agent_chat_"   \
	"response_part|vad_score|conversation_initiation_metadata|conversation_initiation_client_data|client_"    \
	"tool_result|contextual_update|client_error|guardrail_triggered|rich_content|agent_typing|internal_"      \
	"tentative_agent_response|content_block_start|content_block_delta|content_block_stop|message_start|"      \
	"message_delta|message_stop|tool_result|server_tool_use|mcp_tool_use|mcp_tool_result|web_search_tool_"    \
	"result|function_call_output|custom_tool_call|custom_tool_call_output|mcp_call|mcp_list_tools|mcp_"       \
	"approval_request|mcp_approval_response|tool_response|tool_error|FunctionCallResponse|FunctionCalling|"   \
	"History|turn_ended|forced_agent_message|tool-input-start|tool-input-delta|tool-result"

#define RETELL_EVENTS                                                                                             \
	"call_started|call_ended|call_analyzed|call_inbound|transcript_updated|transfer_started|transfer_"        \
	"bridged|"                                                                                                \
	"transfer_cancelled|transfer_ended|chat_started|chat_ended|chat_analyzed|chat_inbound|alert_triggered|"   \
	"alert_resolved"

/* Which platforms, and since when, docs/agents.md says. The first row that finds calls of ours says the dialect.
 */
const rco__place rco__platforms[] = {
	{RCO_DIALECT_MCP_2026, 0, "", "params name", "id", "method=tools/call,+" MCP_VERSION},
	{RCO_DIALECT_MCP, 0, "", "params name", "id", "method=tools/call,!" MCP_VERSION},
	{RCO_DIALECT_MCP, NAMED, "", "name", "", BARE_MCP},
	{RCO_DIALECT_MCP_2026, NAMED, "", "name", "", BARE_MCP},

	{VAPI, ALONE | AGAIN | ENVELOPE, "message tool_call_list []", "name;function name", "id",
         "/message type=tool-calls"},
	{VAPI, ALONE | AGAIN | ENVELOPE, "message tool_calls []", "name;function name", "id",
         "/message type=tool-calls"},
	{VAPI, ALONE | AGAIN | ENVELOPE, "message tool_with_tool_call_list []",
         "tool_call function name;tool_call name;function name;name", "tool_call id", "/message type=tool-calls"},
	{VAPI, ALONE | OLD | ENVELOPE, "message function_call", "name;function_name", "",
         "/message type=function-call"},
	{VAPI, ALONE | AGAIN, "tool_call_list []", "name;function name", "id", "/type=tool-calls"},
	{VAPI, ALONE | AGAIN, "tool_calls []", "name;function name", "id", "/type=tool-calls"},

	{CLIENT, ALONE, "client_tool_call", "tool_name", "tool_call_id", "?/type=client_tool_call"},
	/* Vercel, PydanticAI: the arguments have another name */
	{PLAIN, 0, "", "tool_name", "tool_call_id",
         "+tool_call_id,~args;input,!type;role,?state=call|input-available,?part_kind=tool-call,!" RESULT},
	{CLIENT, ALONE, "", "tool_name", "tool_call_id",
         "?type=client_tool_call,~type;tool_call_id;parameters,!client_tool_call;args;input;state;role,!" RESULT},

	{LIVE, ALONE, "tool_call function_calls []", "name", "id", "!/type"},
	{LIVE, ALONE | NAMED, "function_calls []", "name", "id", "!/type"},
	{LIVE, NAMED, "", "name", "id", BARE_GEMINI},
	{GEMINI, AGAIN, "candidates [] content parts [] " GEMINI_CALL, "name", "id", ""},
	{GEMINI, ALONE, "content parts [] " GEMINI_CALL, "name", "id",
         "?/content role=model,!/role=user|tool|system|function|developer"},
	{GEMINI, ALONE, "parts [] " GEMINI_CALL, "name", "id", BY_MODEL},
	{GEMINI, 0, GEMINI_CALL, "name", "id", "!/role,!/type,!arguments"},
	{GEMINI, ALONE | AGAIN, "function_calls []", "name", "id", "!/type"},
	{GEMINI, NAMED | AGAIN, "", "name", "id", BARE_GEMINI},
	/* The model wrote a call that the platform could not read, and tells its text. */
	{GEMINI, 0, "candidates []", "@finish_message", "",
         "finish_reason=MALFORMED_FUNCTION_CALL|UNEXPECTED_TOOL_CALL|FinishReason.MALFORMED_FUNCTION_"
         "CALL|"
         "FinishReason.UNEXPECTED_TOOL_CALL"},

	/* Groq says the same as an error; SDKs hand out what is in it. */
	{PLAIN, 0, "error", "%failed_generation", "", "code=tool_use_failed"},
	{PLAIN, 0, "", "%failed_generation", "", "code=tool_use_failed"},

	/* Also of a response that was interrupted, cancelled, or cut at its limit. */
	{REALTIME, ALONE | EVENT, "", "name", "call_id", "type=response.function_call_arguments.done,+call_id"},
	{REALTIME, ALONE | EVENT, "item", "name", "call_id", "/type=response.function_call_arguments.done"},
	{REALTIME, ALONE | EVENT, "item", "name", "call_id",
         "type=function_call,/type=response.output_item.done,!/sequence_number"},
	{REALTIME, ALONE | EVENT, "response output []", "name", "call_id",
         "type=function_call,/type=response.done"},
	{RESPONSES, ALONE | EVENT, "", "name", "", "type=response.function_call_arguments.done,!call_id"},
	{RESPONSES, ALONE | EVENT, "item", "name", "call_id",
         "type=function_call,/type=response.output_item.done,+/sequence_number"},
	{RESPONSES, ALONE | EVENT, "response output []", "name", "call_id",
         "type=function_call,/type=response.completed|response.incomplete|response.failed|response.cancelled"},
	{RESPONSES, ALONE, "output []", "name", "call_id", "type=function_call,!/type"},
	{RESPONSES, 0, "", "name", "call_id", "type=function_call,!output"},
	/* the Agents SDK */
	{RESPONSES, ALONE, "raw_item", "name", "call_id", "type=function_call,/type=tool_call_item,!/output"},
	{RESPONSES, ALONE, "item raw_item", "name", "call_id",
         "type=function_call,/type=run_item_stream_event,/name=tool_called"},

	{CHAT, 0, "choices [] message tool_calls []", "function name", "id", "!type=custom"},
	/* DashScope; Cloudflare's REST */
	{CHAT, 0, "output choices [] message tool_calls []", "function name", "id",
         "!type=custom,+/request_id;/usage,!/type;/tool_call_id"},
	{CHAT, ALONE, "result tool_calls []", "name;function name", "id", "+/success,!/jsonrpc"},
	{CHAT, ALONE, "result choices [] message tool_calls []", "function name", "id", "+/success,!/jsonrpc"},
	{CHAT, ALONE, "tool_calls []", "function name", "id", "!type=custom,?/type=message|ai," BY_MODEL},
	{CHAT, ALONE, "message tool_calls []", "function name", "id", "!type=custom,!/message type,!/type"},
	/* Ollama's lines, as a list */
	{CHAT, 0, "message tool_calls []", "function name", "id", "!type=custom,+/done,!/type"},
	{CHAT, 0, "", "function name", "id",
         "?type=function,+id;function arguments,!function parameters;function description;function "
         "output,!tool_calls"},
	{CHAT, OLD, "choices [] message function_call", "name", "", ""},
	{CHAT, ALONE | OLD, "function_call", "name", "", "+/role;arguments,!/messages,!/type," BY_MODEL},
	{CHAT, ALONE | OLD | NAMED, "", "name", "",
         "+arguments,!type;method;response_type;role;description;error;result;output"},
	/* LangChain: a message, the sum of its pieces when it is complete, and both as they are stored. What the
         * model wrote as arguments and cannot be read stands in a list of its own. */
	{CHAT, ALONE | AGAIN, "tool_calls []", "name", "id",
         "?type=tool_call,~args,?/type=ai|AIMessage|message," BY_MODEL},
	{CHAT, ALONE | AGAIN, "invalid_tool_calls []", "name", "id",
         "?type=invalid_tool_call,?/type=ai|AIMessage|message," BY_MODEL},
	{CHAT, ALONE | AGAIN, "additional_kwargs tool_calls []", "function name", "id", "/type=ai|AIMessage"},
	{CHAT, ALONE | AGAIN, "tool_calls []", "name", "id", "~args,/type=AIMessageChunk," SUM_ENDS},
	{CHAT, ALONE | AGAIN, "tool_calls []", "name", "id",
         "~args,/type=AIMessageChunk,/tool_call_chunks [] args=*}"},
	{CHAT, ALONE | AGAIN, "invalid_tool_calls []", "name", "id", "/type=AIMessageChunk," SUM_ENDS},
	{CHAT, ALONE | AGAIN, "data tool_calls []", "name", "id", "~args,/type=ai"},
	{CHAT, ALONE | AGAIN, "data invalid_tool_calls []", "name", "id", "/type=ai"},
	{CHAT, ALONE | AGAIN, "data additional_kwargs tool_calls []", "function name", "id", "/type=ai"},
	{CHAT, ALONE | AGAIN, "data tool_calls []", "name", "id", "~args,/type=AIMessageChunk," DATA_ENDS},
	{CHAT, ALONE | AGAIN, "data tool_calls []", "name", "id",
         "~args,/type=AIMessageChunk,/data tool_call_chunks [] args=*}"},
	{CHAT, ALONE | AGAIN, "data invalid_tool_calls []", "name", "id", "/type=AIMessageChunk," DATA_ENDS},
	{CHAT, ALONE | AGAIN, "kwargs tool_calls []", "name", "id", "~args," CONSTRUCTED("ai", "AIMessage")},
	{CHAT, ALONE | AGAIN, "kwargs invalid_tool_calls []", "name", "id", CONSTRUCTED("ai", "AIMessage")},
	{CHAT, ALONE | AGAIN, "kwargs additional_kwargs tool_calls []", "function name", "id",
         CONSTRUCTED("ai", "AIMessage")},
	{CHAT, ALONE | AGAIN, "kwargs tool_calls []", "name", "id",
         "~args," CONSTRUCTED("AIMessageChunk", "AIMessageChunk") "," KWARGS_ENDS},
	{CHAT, ALONE | AGAIN, "kwargs tool_calls []", "name", "id",
         "~args," CONSTRUCTED("AIMessageChunk", "AIMessageChunk") ",/kwargs tool_call_chunks [] args=*}"},
	{CHAT, ALONE | AGAIN, "kwargs invalid_tool_calls []", "name", "id",
         CONSTRUCTED("AIMessageChunk", "AIMessageChunk") "," KWARGS_ENDS},
	{CHAT, ALONE | AGAIN, "content []", "name", "id", "type=tool_call,~args,/type=ai"},
	{CHAT, ALONE | AGAIN, "generations [] [] message tool_calls []", "name", "id",
         "?type=tool_call,~args,/generations [] [] message type=ai"},
	{PLAIN, 0, "", "tool", "tool_call_id",
         "type=AgentAction|AgentActionMessageLog|ToolAgentAction,!observation"},
	{CHAT, 0, "", "name", "id", "type=tool_call,~args"},
	/* LlamaIndex */
	{CHAT, ALONE, "message additional_kwargs tool_calls []", "function name", "id",
         "/message role=assistant,!/type"},
	{CHAT, ALONE, "additional_kwargs tool_calls []", "function name", "id", "/role=assistant,!/type"},
	/* Llama API */
	{CHAT, ALONE, "completion_message tool_calls []", "function name;name;tool_name", "id;call_id",
         "?/completion_message role=assistant"},
	/* OCI */
	{CHAT, ALONE, "chat_response choices [] message tool_calls []", "name", "id", "~arguments"},
	/* The same without an object around name and arguments, as gateways and local models write it. */
	{CHAT, 0, "choices [] message tool_calls []", "name", "id",
         "~arguments;parameters,!function,!type=custom"},
	{CHAT, ALONE, "tool_calls []", "name", "id",
         "+arguments,!function,!type=custom|tool_call|invalid_tool_call,!/type," BY_MODEL},
	{CHAT, 0, "", "name", "id", "type=invalid_tool_call"},

	{RCO_DIALECT_ANTHROPIC, ALONE, "content []", "name", "id", "type=tool_use,?/type=message|ai," BY_MODEL},
	{RCO_DIALECT_ANTHROPIC, 0, "", "name", "id", "type=tool_use"},
	/* the Agent SDK */
	{RCO_DIALECT_ANTHROPIC, ALONE, "message content []", "name", "id",
         "type=tool_use,/type=assistant,/message role=assistant"},
	/* its SDK puts into these events what came before */
	{RCO_DIALECT_ANTHROPIC, ALONE | EVENT, "content_block", "name", "id",
         "type=tool_use,/type=content_block_stop"},
	{RCO_DIALECT_ANTHROPIC, ALONE | EVENT, "message content []", "name", "id",
         "type=tool_use,/type=message_stop,?/message role=assistant"},

	/* a chunk with all of the call in it, and its end */
	{CHAT, EVENT, "choices [] delta tool_calls []", "function name", "id",
         "!type=custom,+/choices [] finish_reason,!/choices [] finish_reason=|null"},

	/* The text of several events, of which none may have the whole call. */
	{CHAT, BEGUN, "choices [] delta tool_calls []", "function name", "id",
         "!type=custom,?/choices [] finish_reason=|null"},
	{CHAT, BEGUN | OLD, "choices [] delta function_call", "name", "", ""},
	/* LangChain; Bedrock, ConverseStream; Cohere, version 2; Mistral, Conversations */
	{CHAT, BEGUN, "tool_call_chunks []", "name", "id", "/type=AIMessageChunk"},
	{PLAIN, BEGUN, "content_block_start start tool_use", "name", "tool_use_id", ""},
	{CHAT, BEGUN, "delta message tool_calls", "function name", "id", "/type=tool-call-start"},
	{CHAT, BEGUN, "delta message tool_calls []", "function name", "id", "/type=tool-call-start"},
	{PLAIN, BEGUN, "", "name", "tool_call_id", "type=function.call.delta"},
	{RCO_DIALECT_ANTHROPIC, ALONE | BEGUN, "content_block", "name", "id",
         "type=tool_use,/type=content_block_start"},
	{RESPONSES, ALONE | BEGUN | EVENT, "item", "name", "call_id",
         "type=function_call,/type=response.output_item.added,+/sequence_number"},
	{REALTIME, ALONE | BEGUN | EVENT, "item", "name", "call_id",
         "type=function_call,/type=response.output_item.added,!/sequence_number"},

	{RCO_DIALECT_RETELL, ALONE | ENVELOPE, "", "name", "", "+call;chat,+args,!event"},
	{RCO_DIALECT_RETELL, ALONE, "", "name", "", "+call;chat,!args;event;reason"},
	{RCO_DIALECT_RETELL, ALONE | NAMED, "", "name", "", "+args,!call,!chat,!event"},

	/* Platforms without a dialect: acted on, and answered plainly. */
	/* Amazon Bedrock: Converse, Nova Sonic */
	{PLAIN, 0, "output message content [] tool_use", "name", "tool_use_id", "!type=server_tool_use"},
	{PLAIN, ALONE, "message content [] tool_use", "name", "tool_use_id", "!type=server_tool_use"},
	{PLAIN, ALONE, "content [] tool_use", "name", "tool_use_id", "!type=server_tool_use," BY_MODEL},
	{PLAIN, 0, "tool_use", "name", "tool_use_id", "!type=server_tool_use"},
	{PLAIN, ALONE, "event tool_use", "tool_name", "tool_use_id", ""},
	/* Amazon Bedrock Agents: its Lambda function; control that is returned */
	{PLAIN, ALONE, "", "function;api_path", "", "+message_version,+action_group"},
	{PLAIN, ALONE, "return_control invocation_inputs [] function_invocation_input", "function", "", ""},
	{PLAIN, ALONE, "return_control invocation_inputs [] api_invocation_input", "api_path", "", ""},
	{PLAIN, ALONE, "invocation_inputs [] function_invocation_input", "function", "", "+/invocation_id"},
	{PLAIN, ALONE, "invocation_inputs [] api_invocation_input", "api_path", "", "+/invocation_id"},
	/* Amazon Lex V2 and V1, Amazon Connect */
	{PLAIN, ALONE, "session_state intent", "name", "", "/invocation_source=FulfillmentCodeHook"},
	{PLAIN, ALONE, "current_intent", "name", "", "/invocation_source=FulfillmentCodeHook"},
	{PLAIN, ALONE, "Details Parameters", "tool", "", "/Name=ContactFlowEvent"},
	/* OpenAI Assistants */
	{PLAIN, ALONE, "required_action submit_tool_outputs tool_calls []", "function name", "id",
         "/status=requires_action"},
	{PLAIN, ALONE, "data required_action submit_tool_outputs tool_calls []", "function name", "id",
         "/event=thread.run.requires_action"},
	/* Deepgram */
	{PLAIN, ALONE, "functions []", "name", "id", "/type=FunctionCallRequest,!client_side=false"},
	{PLAIN, ALONE, "", "function_name", "function_call_id", "type=FunctionCallRequest"},
	/* Ultravox */
	{PLAIN, ALONE, "", "tool_name", "invocation_id",
         "type=client_tool_invocation|data_connection_tool_invocation"},
	/* SignalWire */
	{PLAIN, ALONE, "", "function", "", "+argument,!action;functions"},
	/* Google: Dialogflow CX, CES */
	{PLAIN, ALONE, "fulfillment_info", "tag", "", ""},
	{PLAIN, ALONE, DETECTED "[] tool_call", "action;tool", "", ""},
	{PLAIN, ALONE, "detect_intent_response " DETECTED "[] tool_call", "action;tool", "", ""},
	{PLAIN, ALONE, "session_output tool_calls tool_calls []", "display_name;tool", "id", ""},
	{PLAIN, ALONE, "outputs [] tool_calls tool_calls []", "display_name;tool", "id", ""},
	/* Dialogflow ES */
	{PLAIN, ALONE, "query_result", "action", "", "+/response_id,+/session"},
	/* Hume */
	{PLAIN, ALONE, "", "name", "tool_call_id", "type=tool_call,+tool_call_id,!tool_type=builtin"},
	{PLAIN, ALONE, "tool_call_message", "name", "tool_call_id",
         "/event_name=tool_call,!tool_type=builtin,?type=tool_call"},
	/* Gemini, a FunctionCall of an SDK: what else has arguments of this name was looked for before */
	{GEMINI, AGAIN, "", "name", "id",
         "~args;partial_args;will_continue," BARE_GEMINI ",!call;chat;event;tool_call_id;tool_type"},
	/* jambonz */
	{PLAIN, ALONE, "data", "name", "tool_call_id", "/type=llm:tool-call"},
	{PLAIN, ALONE, "data function_calls []", "name", "id", "/type=llm:tool-call"},
	{PLAIN, ALONE, "", "name", "tool_call_id", "type=llm:tool-call"},
	{PLAIN, ALONE, "", "name", "tool_call_id", "+tool_call_id,+args,!type;role"},
	/* Vercel */
	{PLAIN, 0, "", "tool_name", "tool_call_id", "type=tool-call|tool-input-available,!provider_executed=true"},
	{PLAIN, ALONE, "content []", "tool_name", "tool_call_id",
         "type=tool-call,!provider_executed=true,?/type=message," BY_MODEL},
	{PLAIN, ALONE | AGAIN, "tool_calls []", "tool_name", "tool_call_id",
         "?type=tool-call,!provider_executed=true,!/type,!" RESULT},
	/* the messages of its hooks, in which calls have a state */
	{PLAIN, ALONE, "tool_call", "tool_name", "tool_call_id", "~args;input,!/type;/role,!" RESULT},
	{PLAIN, ALONE | AGAIN, "tool_invocations []", "tool_name", "tool_call_id", "state=call,!result," BY_MODEL},
	{PLAIN, ALONE | AGAIN, "parts [] tool_invocation", "tool_name", "tool_call_id",
         "state=call,!result," BY_MODEL},
	{PLAIN, ALONE | AGAIN, "parts []", "type", "tool_call_id", UI_CALL ",!type=dynamic-tool," BY_MODEL},
	{PLAIN, ALONE | AGAIN, "parts []", "tool_name", "tool_call_id", UI_CALL ",type=dynamic-tool," BY_MODEL},
	{PLAIN, 0, "", "type", "tool_call_id", UI_CALL ",!type=dynamic-tool"},
	{PLAIN, 0, "", "tool_name", "tool_call_id", UI_CALL ",type=dynamic-tool"},
	/* Mastra; AG-UI, which tells the name of a call when it begins, and nowhere else */
	{PLAIN, 0, "payload", "tool_name", "tool_call_id", "/type=tool-call,!" RESULT},
	{PLAIN, 0, "", "tool_call_name", "tool_call_id", "type=TOOL_CALL_START|TOOL_CALL_CHUNK"},
	/* PydanticAI, LlamaIndex, Haystack, AutoGen, Semantic Kernel, Microsoft.Extensions.AI, LangChain4j */
	{PLAIN, ALONE, "parts []", "tool_name", "tool_call_id", "part_kind=tool-call,/kind=response"},
	{PLAIN, 0, "", "tool_name", "tool_id", "~tool_kwargs,+tool_id,!tool_output"},
	{PLAIN, ALONE, "blocks []", "tool_name", "tool_call_id", "block_type=tool_call,/role=assistant"},
	{PLAIN, ALONE, "message blocks []", "tool_name", "tool_call_id",
         "block_type=tool_call,/message role=assistant,!/type"},
	{PLAIN, ALONE, "content [] tool_call", "tool_name", "id", "/role=assistant"},
	{PLAIN, ALONE, "_content [] tool_call", "tool_name", "id", "/_role=assistant"},
	{PLAIN, ALONE, "replies [] content [] tool_call", "tool_name", "id", "/replies [] role=assistant"},
	{PLAIN, ALONE, "content []", "name", "id", "~arguments,!type,/type=ToolCallRequestEvent"},
	{PLAIN, ALONE, "content []", "name", "id", "~arguments,!type,/finish_reason=function_calls,!/type"},
	{PLAIN, ALONE, "items []", "function_name;name", "id", "content_type=function_call,/role=assistant"},
	{PLAIN, ALONE, "contents []", "name", "call_id", "$type=functionCall,/role=assistant"},
	{PLAIN, ALONE, "tool_execution_requests []", "name", "id", "?/type=AI"},
	/* LiveKit; Pipecat */
	{PLAIN, 0, "", "name", "call_id", "type=function_tool_call"},
	{PLAIN, ALONE, "delta tool_calls []", "name", "call_id", "type=function,~arguments,+call_id,!/type"},
	{PLAIN, ALONE, "function_calls []", "function_name", "tool_call_id", "~arguments,!/type,!" RESULT},
	/* openai-python's stream */
	{PLAIN, 0, "", "name", "", "type=tool_calls.function.arguments.done"},
	/* YandexGPT, Hunyuan, Snowflake, OCI; in C# */
	{PLAIN, ALONE, "result alternatives [] message tool_call_list tool_calls [] function_call", "name", "",
         ""},
	{PLAIN, ALONE, "alternatives [] message tool_call_list tool_calls [] function_call", "name", "", ""},
	{PLAIN, ALONE, "Response Choices [] Message ToolCalls []", "Function Name", "Id", ""},
	{PLAIN, ALONE, "Choices [] Message ToolCalls []", "Function Name;FunctionName", "Id", ""},
	{PLAIN, ALONE, "Output Message Content [] ToolUse", "Name", "ToolUseId", ""},
	{PLAIN, ALONE, "choices [] message content_list [] tool_use", "name", "tool_use_id", ""},
	{PLAIN, ALONE, "chat_response tool_calls []", "name", "", "~parameters"},
	/* Mistral; Google's interactions */
	{PLAIN, 0, "", "name", "tool_call_id", "type=function.call"},
	{PLAIN, ALONE, "outputs|steps []", "name", "tool_call_id;id", "type=function.call|function_call"},
	{PLAIN, 0, "delta", "name", "id", "type=function_call,/event_type=content.delta"},
	{PLAIN, ALONE, "interaction outputs|steps []", "name", "id",
         "type=function_call,/event_type=interaction.complete"},
	/* AssemblyAI, Tavus */
	{PLAIN, ALONE, "", "name", "call_id", "type=tool.call"},
	{PLAIN, ALONE, "properties", "name", "tool_call_id",
         "/event_type=conversation.tool_call|conversation.perception_tool_call"},
	/* Cohere, version 1: its response, and two events, the second with all of the response */
	{PLAIN, ALONE, "tool_calls []", "name", "", "+parameters,+/generation_id;/text"},
	{PLAIN, 0, "tool_calls []", "name", "", "+parameters,/event_type=tool-calls-generation"},
	{PLAIN, ALONE, "response tool_calls []", "name", "", "+parameters,/event_type=stream-end"},
	/* what models that run locally write */
	{PLAIN, 0, "", "name", "id",
         "~arguments,!type;description;method;call;role;response_type;result;output,!" LOGGED},
	{PLAIN, 0, "", "name", "id",
         "+parameters,!parameters type;parameters properties,!type;description;method;call;role;response_type;"
         "strict;result;output;error;status;event,!" LOGGED},
	{PLAIN, 0, "", "tool_name;function_name", "id;tool_call_id",
         "~arguments;tool_args;function_args,!type;description;method;call;role;error;status;event;success;"
         "duration;"
         "duration_ms;timestamp;ts,!" RESULT ",!" LOGGED},
	{PLAIN, 0, "tool_call", "name", "id", "+arguments,!/type;/role;/event;/result;/output"},
	{PLAIN, 0, "", "action;tool;function", "",
         "+action_input;tool_input;args;arguments;parameters;input,!type;description;method;call;role;"
         "response_type;result;output;error;status;event,!" LOGGED},
	/* LiveKit; Pipecat */
	{PLAIN, 0, "", "name", "call_id", "type=function,+arguments,+call_id,!description;parameters"},
	/* Llama 3.1 */
	{PLAIN, 0, "", "name", "id",
         "type=function,+parameters;arguments,!parameters type;parameters properties;description;strict;call_id"},
	{PLAIN, ALONE, "data", "function_name", "tool_call_id", "/type=llm-function-call"},

	{RCO__PLACE_HISTORY, 0, "", "", "", "role=user|system|developer|tool|function"},
	{RCO__PLACE_HISTORY, 0, "", "", "",
         "type=function_call_output|tool_result|custom_tool_call_output|mcp_approval_response"},
	/* LangChain, PydanticAI */
	{RCO__PLACE_HISTORY, 0, "", "", "", "type=human|system|tool|function|developer,+content"},
	{RCO__PLACE_HISTORY, 0, "", "", "",
         "type=constructor,id []=HumanMessage|SystemMessage|ToolMessage|FunctionMessage"},
	{RCO__PLACE_HISTORY, 0, "", "", "", "kind=request,+parts"},
	{RCO__PLACE_HISTORY, 0, "", "", "", "type=user,message role=user"},
	/* Retell's websocket of a model of one's own, both ways */
	{RCO__PLACE_ELSE, 0, "", "", "",
         "interaction_type=ping_pong|update_only|call_details|response_required|reminder_required"},
	{RCO__PLACE_ELSE, 0, "", "", "",
         "response_type=config|response|ping_pong|agent_interrupt|tool_call_invocation|tool_call_result|metadata|"
         "update_agent"},
	{RCO__PLACE_ELSE, 0, "", "", "", "+choices [] delta"},
	{RCO__PLACE_ELSE, 0, "", "", "", "+messages [] role;contents [] parts;errors [] message;errors [] code"},
	{RCO__PLACE_ELSE, 0, "", "", "",
         "+setup;tool_call_cancellation;tool_response function_responses;server_content;client_content"},
	{RCO__PLACE_ELSE, WIDE, "", "", "", "+error;errors;error_message;detail;messages;contents;result"},
	{RCO__PLACE_ELSE, WIDE, "", "", "", "status=error"},
	{RCO__PLACE_ELSE, WIDE, "", "", "", "+tools"},
	{RCO__PLACE_ELSE, WIDE, "", "", "", "+name,+description;input_schema"},
	/* Where the model's arguments may be all there is: by more than a member that it may have invented,
         * and nothing that has our own parameter. */
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+jsonrpc,+method;result;error;id"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "+candidates [];choices [];output [];outputs [];functions [];call_log []"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "+session_state intent;content_block_start;event content_start;output message;tool_use tool_use_id"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "object=list|response|interaction,+data;output;status;steps;outputs"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "type=function|client|webhook|custom,+parameters;function parameters;api_schema"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "type=tool_call|tool-call,+tool_type;provider_executed"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "type=transcript,+role;tool_name;transcript"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "type=" EVENTS},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "type=error,+error;message;description"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "type=ping|interruption|audio,+ping_event;interruption_event;audio_event"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "type=post_call_transcription|post_call_audio|call_initiation_failure,+data"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+type,+data,+event_timestamp"},
	/* ElevenLabs asks how a conversation is to begin */
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+caller_id,+agent_id,+called_number"},
	/* Twilio: ConversationRelay, Media Streams */
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "type=setup|prompt|dtmf|interrupt,+call_sid;session_id;voice_prompt;digit;utterance_until_interrupt"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "event=connected|start|media|dtmf|mark|stop|clear,+stream_sid;media;start;stop;mark;dtmf;protocol"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+CallSid,+AccountSid;CallStatus"},
	/* what is sent back for a call */
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+function_response response;function_responses []"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "+results [] tool_call_id;results [] result;results [] function_response"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "event=" RETELL_EVENTS ",+call;chat;data;call_inbound;chat_inbound"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "role=user|assistant|system|developer|tool|function|model,+content;parts;tool_calls;tool_call_id"},
	{RCO__PLACE_ELSE, NAMED, "", "", "",
         "+tools [];error message;error code;error status;error type;detail []"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "error=" HTTP_ERROR ""},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "message=" HTTP_ERROR ""},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "detail=" HTTP_ERROR ""},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "status=error,+message;error"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+error_message"},
	/* a line of a log; how frameworks of web servers tell an error */
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+level;severity,+msg;message,+ts;time;timestamp;logger"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+code;status,+message;error;title,+path;timestamp;trace;type"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+name,+args"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+name,+input_schema;tool_spec"},
	{RCO__PLACE_ELSE, NAMED, "", "", "", "+status_code,+message;error"},
};

const rco__place_member rco__platform_members[] = {
	/* They say what kind of message it is. */
	{PLAIN, RCO__ROLE_KIND, "type"},
	{VAPI, RCO__ROLE_KIND, "message type"},
	{RCO_DIALECT_MCP, RCO__ROLE_KIND, "method"},
	{PLAIN, RCO__ROLE_KIND, "event"},
	{PLAIN, RCO__ROLE_KIND, "event_type"},
	{PLAIN, RCO__ROLE_KIND, "event_name"},
	{PLAIN, RCO__ROLE_KIND, "role"},
	{VAPI, RCO__ROLE_CALL_ID, "message call id"},
	{RCO_DIALECT_RETELL, RCO__ROLE_CALL_ID, "call call_id"},
	{PLAIN, RCO__ROLE_SILENT, "response_required"},
	{PLAIN, RCO__ROLE_SILENT, "tool_call_message response_required"},
	{PLAIN, RCO__ROLE_SILENT, "expects_response"},
	{CLIENT, RCO__ROLE_SILENT, "client_tool_call expects_response"},
	{PLAIN, RCO__ROLE_REASON, "reason"},
};

_Static_assert(sizeof rco__platforms / sizeof rco__platforms[0] <= RCO__PLACES_MAX,
               "more rows than there is room for");

const size_t rco__platforms_rows = sizeof rco__platforms / sizeof rco__platforms[0];
const size_t rco__platform_members_count = sizeof rco__platform_members / sizeof rco__platform_members[0];
