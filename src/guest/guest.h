/*
 * guest: the program that an agent starts and talks MCP to
 *
 * Lines of standard input go to the daemon and its lines to standard output, through a connection that is made anew as
 * long as standard input is open: GET /mcp with `Upgrade: aileron-mcp-lines` (docs/formats/guest.md). What happens when
 * there is no daemon is mediator.h's. One thread, poll(); no side is read while what it sent before has not been taken by the
 * other. Nothing but protocol goes to standard output; standard error gets a line when the daemon is lost or refuses.
 */
#pragma once

/* Until standard input ends or nobody reads standard output; the exit status. `id` NULL = of the environment. */
int guest_relay(const char *id);
/* `aileron-guest` or `aileron-mcp` with these arguments; the exit status. */
int guest_main(int argc, char **argv);
