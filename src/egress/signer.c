#include "egress/signer.h"

static int sign_aws_sigv4(void *context, const struct sigv4_scope *scope, struct str to_sign,
			  unsigned char ret_mac[SHA256_SIZE], struct err *err)
{
	return held_key_aws_sigv4(context, scope, to_sign, ret_mac, err);
}

static int sign_bytes(void *context, enum signing_algorithm algorithm, struct str bytes,
		      unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err)
{
	return held_key_sign(context, algorithm, bytes, ret_signature, ret_n, err);
}

struct signer held_key_signer(struct held_key *held_key)
{
	return (struct signer){.context = held_key, .aws_sigv4 = sign_aws_sigv4, .sign = sign_bytes};
}
