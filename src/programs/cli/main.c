/*
 * aileron: one verb of the command line (docs/man/aileron.1), or, as `aileron daemon run`, the parent of the daemon
 */
#include "cli/main.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
