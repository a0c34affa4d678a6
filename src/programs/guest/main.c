/*
 * aileron-guest, also named aileron-mcp: what agent programs start (guest/guest.h)
 *
 * Linked static: it runs in any container, starts within a few milliseconds, and has nothing to be preloaded.
 */
#include "guest/guest.h"

int main(int argc, char **argv)
{
	return guest_main(argc, argv);
}
