/*
 * egress_protocol: the messages between egress and its parent, and between egress and control
 *
 * One socket pair, descriptor EGRESS_FD_SOCKET in the child. Egress confines itself and sends HELLO with its proof; the
 * parent answers START. Then, for each call: GRANT (what it may reach, with which credential), any number of REQUEST
 * one after the other, each answered by one RESULT, and END, at which egress forgets the grant and wipes the secret.
 * CANCEL ends the request under way (its RESULT says so). The id is the call's, not 0; many calls are open at once. In the
 * daemon control speaks it from GRANT on, over a socket that the daemon's parent handed to both.
 * docs/formats/egress.md is the format; text/wire.h the encoding.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "crypto/secret.h"
#include "rpc/rpc.h"

#define EGRESS_FD_SOCKET      3
#define EGRESS_FD_CA          4 /* START says whether there is one: PEM certificates to trust instead of the system's */
#define EGRESS_GRANT_MAX      (4 * MIB) /* bytes of one GRANT, and entries of one of its lists: more ends egress */
#define EGRESS_GRANT_LIST_MAX 4096
#define EGRESS_PERMITS_MAX    64         /* of one GRANT */
#define EGRESS_OAUTH_MAX      (64 * KIB) /* bytes of one OAUTH */
#define EGRESS_POST_MAX       (4 * MIB)  /* bytes of one POST */

#define EGRESS_FDS 5

/* argv: "aileron-egress" PARENT-PID NAMESPACES */

enum egress_message {
	EGRESS_HELLO = 1,    /* egress to parent: confine report */
	EGRESS_RESULT = 2,   /* id; egress_result */
	EGRESS_START = 32,   /* parent to egress: bool ca_file */
	EGRESS_GRANT = 33,   /* id; egress_grant, the secret last */
	EGRESS_REQUEST = 34, /* id; u64 time left in ns, bool trace, str envelope (JSON of http_request) */
	EGRESS_CANCEL = 35,  /* id; empty */
	EGRESS_END = 36,     /* id; empty */
	/* The daemon's: what must go out and is no connector's call. */
	EGRESS_OAUTH = 37,       /* id; egress_oauth: one token request under a ticket of the keeper */
	EGRESS_OAUTH_RESULT = 3, /* id; egress_oauth_result */
	EGRESS_POST = 38,        /* id; egress_post (OTLP), answered by RESULT without body */
};

enum egress_state { EGRESS_STATE_NEW = 1, EGRESS_STATE_SERVING = 2 };
extern const struct rpc_rule egress_parent_rules[];
extern const struct rpc_rule egress_child_rules[];

/*
 * --allow-private and --resolve of the user, and nobody else: these addresses are dialled although they are private. The
 * daemon's egress takes none with an address (PROTOCOL): its asker is not the user.
 */
struct egress_opening {
	struct str host; /* as in the URL, lower-case, no brackets */
	uint16_t port;
	struct str address; /* "" = whatever the name gives (--allow-private), else dial this one (--resolve) */
	uint16_t address_port;
};

/* Where the credential stands, from the parent that resolved it (steps 3 to 6 of the table of checks). */
enum egress_binding {
	BINDING_NO_RESOLVER, /* nobody could be asked */
	BINDING_MISSING,     /* asked, none bound */
	BINDING_FOUND,
	BINDING_FAILED, /* resolving failed: binding_error */
	BINDING_PERMIT, /* the daemon's: the keeper holds it; `permits` say under which use it is claimed */
	BINDING__MAX
};

/* One credential that a call may use, claimed from the keeper when a request first needs it. */
struct egress_permit {
	uint64_t use;             /* keeper_protocol.h */
	struct str binding;       /* its name, for messages */
	struct str region;        /* aws_sigv4: the region that it serves, "" = any */
	struct str access_key_id; /* aws_sigv4 */
};

struct egress_grant {
	struct str connector; /* FQN, for messages */
	struct str version;
	bool permissive;         /* origin "local" without a network table: no allow-list */
	const struct str *hosts; /* "host:port" of the manifest */
	size_t n_hosts;
	const struct str *subset; /* the action's, empty = not narrowed */
	size_t n_subset;
	const struct egress_opening *openings;
	size_t n_openings;
	uint32_t request_max, response_max; /* bytes of body */
	/* the manifest's credential table */
	enum credential_kind declared;
	struct str header, format, service, region, access_key_id;
	struct str algorithm, key_id, label;
	const struct str *components;
	size_t n_components;
	/* the binding */
	enum egress_binding binding;
	enum credential_kind bound;
	struct str binding_error, username, bound_region, bound_access_key_id;
	struct str pool;             /* names the credential for connection pooling; equal = may share connections */
	const struct secret *secret; /* NULL unless BINDING_FOUND; sent from its own memory */
	/* BINDING_PERMIT: several for aws_sigv4 alone, chosen by the region of the request's host */
	const struct egress_permit *permits;
	size_t n_permits;
	/* the runner behind a relay (supervise.h) and its call, whose text is scrubbed of this grant's secrets; 0 = none */
	uint32_t relay, relay_call;
};

/* One step of an OAuth flow. Endpoint, client and verifier come from the keeper with the ticket, never from here. */
enum egress_oauth_step {
	OAUTH_CODE = 1,     /* authorization_code: `code`, `redirect_uri` */
	OAUTH_DEVICE_START, /* device authorization request (RFC 8628, 3.1) */
	OAUTH_DEVICE_POLL,  /* one device access token request (3.4) */
	OAUTH_STEP__MAX
};
struct egress_oauth {
	enum egress_oauth_step step;
	uint64_t ticket;
	uint64_t left_ns;
	struct str code, redirect_uri;
};
struct egress_oauth_result {
	struct err err;      /* TOKEN_EXCHANGE_FAILED, NETWORK_ERROR, … */
	bool pending;        /* OAUTH_DEVICE_POLL: not yet; ask again after `interval` */
	struct str scope;    /* granted; "" when the answer did not say */
	uint64_t expires_in; /* of the token or of the device code, seconds; 0 = not said */
	bool has_refresh_token;
	struct str user_code, verification_uri, verification_uri_complete;
	/* Seconds: between two polls (0 = not said); with `pending` by how many the interval grows (5 after slow_down). */
	uint32_t interval;
};
struct egress_post {
	struct str url, content_type,
		body; /* a literal loopback in the URL opens that address: it is the user's own setting */
	uint64_t left_ns;
};

struct egress_result {
	int32_t rc;      /* 0, -1, -2 as http_request answers */
	int32_t status;  /* when rc is 0 */
	struct err err;  /* when it is not */
	struct str note; /* for --trace: "dialled 127.0.0.1:443, 1 redirect"; no secret, no guest bytes unescaped */
	uint64_t nanoseconds;
	struct str body;
};

/* The body of GRANT but for the secret, which follows as u32 length and bytes. */
void egress_grant_put_head(struct buf *out, const struct egress_grant *m);
/*
 * Arrays and strings in `arena`; the secret is moved into a secret of its own and wiped from `body`. Blanks and line
 * ends around it are left out (it may then be empty), but for a signing key's.
 */
int egress_grant_get(struct arena *arena, char *body, size_t n, struct egress_grant *ret, struct secret **ret_secret,
		     struct err *err) __attribute__((warn_unused_result));
/* But for the response body, which is sent as the last part: u32 length, bytes. */
void egress_result_put_head(struct buf *out, const struct egress_result *m);
int egress_result_get(struct str body, struct egress_result *ret, struct err *err) __attribute__((warn_unused_result));

/* The texts of what follows are borrowed from the body. */
void egress_oauth_put(struct buf *out, const struct egress_oauth *m);
int egress_oauth_get(struct str body, struct egress_oauth *ret, struct err *err) __attribute__((warn_unused_result));
void egress_oauth_result_put(struct buf *out, const struct egress_oauth_result *m);
/* As an err is large, *ret is written also on failure. */
int egress_oauth_result_get(struct str body, struct egress_oauth_result *ret, struct err *err)
	__attribute__((warn_unused_result));
void egress_post_put(struct buf *out, const struct egress_post *m);
int egress_post_get(struct str body, struct egress_post *ret, struct err *err) __attribute__((warn_unused_result));
