/* SPDX-License-Identifier: MIT */
/*
 * An MCP server on stdin and stdout whose one tool opts a call out.
 *
 *   recoptout-mcp --socket /run/pbx/recoptout.sock --call a84b4c76e66710 [--language de] [--company NAME]
 *
 * The agent's host starts one for each call, and says which call it is. What the model writes cannot name another.
 * Protocol versions up to 2025-11-25 (initialize) and 2026-07-28 (server/discover, stateless) are spoken side by
 * side.
 */
#include "mcp.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void usage(FILE *to)
{
	(void)fprintf(to, "usage: recoptout-mcp --socket PATH --call CALL_ID [--language TAG] [--company NAME]\n"
	                  "\n"
	                  "Serves the tool " RCO_TOOL_NAME " over stdin and stdout (Model Context Protocol)\n"
	                  "for one call of the engine that listens on PATH.\n"
	                  "\n"
	                  "  --socket PATH    the engine's control socket, see rco_control_open()\n"
	                  "  --call CALL_ID   the call that this agent is in\n"
	                  "  --language TAG   of the call, for the sentence that the agent says; default en\n"
	                  "  --company NAME   as it is spoken\n"
	                  "  --help, --version\n");
}

static int parse(int argc, char **argv, mcp_server *server)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"call", required_argument, NULL, 'c'},
		{"language", required_argument, NULL, 'l'},
		{"company", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int o;

	server->language = "en";
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's':
			server->path = optarg;
			break;
		case 'c':
			server->call_id = optarg;
			break;
		case 'l':
			server->language = optarg;
			break;
		case 'n':
			server->company = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'v':
			(void)printf("recoptout-mcp of librecoptout %s\n", rco_version_string());
			exit(0);
		default:
			return 0;
		}
	}
	return optind == argc && server->path != NULL && server->call_id != NULL;
}

/* One message is one line. The answer, if there is one, is written whole before the next is read. */
static int answer_line(mcp_line *line)
{
	char *answer = mcp_end(line);
	int good = 1;

	if (answer == NULL) {
		(void)fprintf(stderr, "recoptout-mcp: out of memory\n");
		return 0;
	}
	if (answer[0] != '\0')
		good = fputs(answer, stdout) >= 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0;
	free(answer);
	return good;
}

/* A line may be of any length: it is read as it comes, and answered at its end. */
static int serve(mcp_server *server)
{
	char bytes[65536];
	mcp_line line;
	ssize_t n;
	int good = 1;

	mcp_begin(&line, server);
	while (good && (n = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) {
		const char *at = bytes, *end = bytes + n, *newline;

		while (good && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
			mcp_feed(&line, at, (size_t)(newline - at));
			good = answer_line(&line);
			mcp_begin(&line, server);
			at = newline + 1;
		}
		mcp_feed(&line, at, (size_t)(end - at));
	}
	return answer_line(&line) && good;
}

int main(int argc, char **argv)
{
	mcp_server server = {0};
	int good;

	if (!parse(argc, argv, &server)) {
		usage(stderr);
		return 2;
	}
	good = serve(&server);
	rco_client_close(server.client);
	return good ? 0 : 1;
}
