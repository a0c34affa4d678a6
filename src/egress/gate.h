/*
 * gate: which URLs a call may ask for
 *
 * Judges the text of a URL against the grant, before any name is resolved; egress/address judges where it then leads.
 * Every refusal is CAPABILITY_DENIED, boundary sandbox, and its details name the rule in `rule`:
 *
 *     "url"           the URL does not parse            requested (the raw text), reason
 *     "scheme"        neither http nor https            requested (the URL), scheme
 *     "host_missing"  no host                           requested (the URL)
 *     "not_listed"    host:port not in the manifest     requested "network:host:port", granted ["network:host:port" …]
 *     "subset"        not in the action's narrower list requested "host:port", action_subset, boundary_detail "action"
 *
 * in this order. Hosts are compared without case and without brackets, ports as numbers (443 and 80 when left out);
 * there are no wildcards. An entry that is not "host:port" never matches. A permissive grant (a local connector without
 * a network table) skips the list but no other rule. Messages are complete: only the subset's starts with
 * "http_request: ".
 *
 * Any thread; nothing is kept.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "egress/egress_protocol.h"
#include "text/url.h"

/* Parses and judges the URL of a request. The parts live in the arena. */
int gate_url(struct arena *arena, const struct egress_grant *grant, struct str raw, struct url *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The same for a Location header as seen from `base`: each hop is judged like a first request. */
int gate_redirect(struct arena *arena, const struct egress_grant *grant, const struct url *base, struct str reference,
		  struct url *ret, struct err *err) __attribute__((warn_unused_result));

/* Judges a URL that is parsed already. */
int gate_check(struct arena *arena, const struct egress_grant *grant, const struct url *url, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Splits "host:port" or "[host]:port" as grants spell it: the host without brackets, the port strictly decimal, 1 to
 * 65535. False for anything else: no port, an empty host, a bare IPv6 address.
 */
bool gate_split(struct str entry, struct str *ret_host, uint16_t *ret_port);
