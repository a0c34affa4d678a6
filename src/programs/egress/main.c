/*
 * aileron-egress: the only program of ours that dials out, and one of two that hold a secret
 *
 * aileron-egress PARENT-PID NAMESPACES, with the descriptors that egress/egress_protocol.h and supervise/supervise.h name.
 * It confines itself before it looks at anything, proves it, and does nothing until whoever started it has judged that.
 */
#include "programs/egress/lives.h"
#include "supervise/supervise.h"
#include <sys/socket.h>

/* What descriptor 3 is cannot be said by an argument or the environment: whoever started us made it so. */
static bool is_daemons(void)
{
	int type = 0;
	socklen_t n = sizeof type;
	return getsockopt(SUPERVISE_FD, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	return is_daemons() ? live_under_parent(argc, argv) : live_under_harness(argc, argv);
}
