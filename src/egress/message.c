#include "egress/message.h"

const struct message_header *message_header_find(const struct message *message, struct str name)
{
	for (size_t i = 0; i < message->n_headers; i++) {
		if (str_eq_fold(message->headers[i].name, name))
			return &message->headers[i];
	}
	return NULL;
}
