/*
 * desktop: a notice on the person's desktop
 *
 * One call of org.freedesktop.Notifications.Notify (Desktop Notifications Specification 1.2) over the session's bus, in just
 * as much of the D-Bus Specification (0.43) as that takes: unix: addresses, EXTERNAL, two messages out, answers in. Blocks, each
 * step for DESKTOP_MS at most. What the bus says is capped and checked.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define DESKTOP_MS 3000

/*
 * 1: it was taken. 0: there is no session's bus here (DBUS_SESSION_BUS_ADDRESS, else XDG_RUNTIME_DIR/bus), or nobody on it
 * shows notices. -1 PROTOCOL or SYSTEM. Texts are UTF-8 without markup.
 */
int desktop_notice(struct str summary, struct str body, struct err *err) __attribute__((warn_unused_result));

/* For tests: one answer's serial, and the name of its error, "" for none; -1 when the bytes are no such message. */
struct desktop_answer {
	uint32_t serial; /* that it answers; 0 = none */
	bool failed;
	struct str error; /* in the message */
};
int desktop_read_answer(struct str message, struct desktop_answer *ret, struct err *err)
	__attribute__((warn_unused_result));
