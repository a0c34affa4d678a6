/*
 * sealing: requests that carry what a person typed, for the keeper's eyes alone
 *
 * The keeper's public key is read from keeper.pub in the state directory, which the daemon's parent writes and control cannot;
 * the nonce comes from the daemon and says which key it is for. A keeper that was started anew in between refuses the message
 * (SEALED_REFUSED): it is sealed once more, to the new key.
 */
#pragma once
#include "cli/cli.h"
#include "text/json_writer.h"
#include "vault/binding.h"
#include "vault/keeper_protocol.h"
#include "vault/sealed.h"

#define SEALING_FIELDS_MAX 4

struct sealing {
	enum keeper_operation operation;
	struct str path, metadata; /* bound to the message */
	struct sealed_field fields[SEALING_FIELDS_MAX];
	size_t n_fields;
};
/*
 * Binds it to a binding: its name and metadata are what both sides make of the fields, and the consent becomes one more of
 * the sealed fields. The texts live as long as the cli.
 */
int sealing_bind(struct cli *cli, struct sealing *sealing, const struct binding_fields *fields,
		 const struct binding_consent *consent, struct err *err) __attribute__((warn_unused_result));
/* Writes the members of the request's body; `sealed` is base64. */
typedef void sealing_body(struct json_writer *w, struct str sealed, const void *user);
/* A body of {"sealed":…} alone. */
sealing_body sealing_body_alone;

/* A public key that the daemon's parent has written: keeper.pub, device.pub. */
int sealing_read_key(const char *state_dir, const char *name, unsigned char ret[SEALED_PUBLIC], struct err *err)
	__attribute__((warn_unused_result));

#define SEALING_TIMEOUT_MS 90000 /* deriving a key may take long */
struct sealed_request {
	struct client_request request; /* its body is made here */
	struct sealing sealing;
	sealing_body *body;
	const void *user;
};
/* Sends it. The answer is the caller's; `ret` may be NULL. */
int sealing_call(struct cli *cli, const struct sealed_request *request, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
