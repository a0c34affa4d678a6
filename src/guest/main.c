#include "base/str.h"
#include "base/version.h"
#include "guest/guest.h"
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char help[] = "Usage: aileron-guest mcp [--as ID]\n"
			   "\n"
			   "Speaks MCP on standard input and output for an agent program, and passes it on to the\n"
			   "Aileron daemon. Agent programs start it; `aileron mcp install` tells them how.\n"
			   "\n"
			   "  --as ID     the agent that it asks as, whose token is in ~/.aileron/run/agents/ID;\n"
			   "              without it AILERON_URL and AILERON_TOKEN say where and as whom\n"
			   "  --version   print the version\n"
			   "  --help      print this\n"
			   "\n"
			   "Named aileron-mcp, it needs no `mcp`.\n";

static bool is_named_mcp(const char *program)
{
	struct str name = str_from(program);
	size_t slash = str_find_last_char(name, '/');
	return str_eq(slash == STR_NPOS ? name : str_slice(name, slash + 1, name.n), S("aileron-mcp"));
}

static int refuse(const char *argument)
{
	fprintf(stderr, "aileron-guest: '%s' is not understood; see aileron-guest --help\n", argument);
	return 2;
}

/* Its memory holds the agent's token, and passes on what the agent asks and reads. */
static bool shut_off(void)
{
	const struct rlimit none = {0, 0};
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

int guest_main(int argc, char **argv)
{
	bool mcp = argc > 0 && is_named_mcp(argv[0]);
	const char *id = NULL;
	for (int i = 1; i < argc; i++) {
		struct str argument = str_from(argv[i]);
		if (str_eq(argument, S("--version")) || str_eq(argument, S("-v"))) {
			puts("aileron-guest " AILERON_VERSION);
			return 0;
		}
		if (str_eq(argument, S("--help")) || str_eq(argument, S("-h"))) {
			fputs(help, stdout);
			return 0;
		}
		if (str_eq(argument, S("mcp")) && i == 1)
			mcp = true;
		else if (str_eq(argument, S("--as")) && i + 1 < argc)
			id = argv[++i];
		else
			return refuse(argv[i]);
	}
	if (mcp && !shut_off()) {
		perror("aileron-guest: cannot keep others from reading its memory");
		return 1;
	}
	if (mcp)
		return guest_relay(id);
	fputs(help, stderr);
	return 2;
}
