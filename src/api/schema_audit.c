#include "api/schemas.h"

static const char *const actor_types[] = {"agent", "human", "service", "connector_runtime", NULL};

#define QUERY_FIELDS                                                                                                   \
	FIELD_STR("since", 0, 64, "RFC 3339"), FIELD_STR("until", 0, 64, "RFC 3339"),                                  \
		FIELD_STR("audit_id", 0, 64, ""), FIELD_STR("type", 0, 64, "\"execution.failed\""),                    \
		FIELD_STR("connector_fqn", 0, API_NAME_MAX, ""), FIELD_STR("class", 0, 64, "of the failure"),          \
		FIELD_STR("binding", 0, API_NAME_MAX, "")

const struct api_field api_audit_query[] = {
	QUERY_FIELDS,
	FIELD_INT("before_seq", 0, API_COUNT_MAX, "only earlier ones: the next page"),
	FIELD_INT("after_seq", 0, API_COUNT_MAX, "only later ones, oldest first"),
	FIELD_INT("limit", API_POSITIVE, 1000, "100 when left out"),
	FIELD_END,
};

const struct api_field api_tail_query[] = {
	FIELD_INT("after_seq", 0, API_COUNT_MAX, "from there on; from now on when left out"),
	FIELD_END,
};

const struct api_field api_actor[] = {
	FIELD_ONE_OF("type", API_REQUIRED, "", actor_types),
	FIELD_STR("id", API_REQUIRED, 128, "\"user\", a session, a service"),
	FIELD_STR("identity_label", 0, API_TEXT_MAX, ""),
	FIELD_STR("credential_binding", 0, API_NAME_MAX, ""),
	FIELD_END,
};

const struct api_field api_audit_event[] = {
	FIELD_STR("audit_id", API_REQUIRED, 64, "\"audit-\" and a UUID"),
	FIELD_STR("event_type", API_REQUIRED, 64, ""),
	FIELD_STR("timestamp", API_REQUIRED, 0, "RFC 3339 with nanoseconds"),
	FIELD_OBJECT("actor", API_REQUIRED, "", api_actor),
	FIELD_ANY("payload", API_REQUIRED, "names only, never a value"),
	FIELD_END,
};

/* The stored text, verbatim (docs/formats/audit.md). */
const struct api_field api_audit_row[] = {
	FIELD_INT("seq", API_REQUIRED, API_COUNT_MAX, "from 1, without holes"),
	FIELD_STR("prev", API_REQUIRED, 64, "hash of the event before it"),
	FIELD_STR("hash", API_REQUIRED, 64, "of this text without it"),
	FIELD_STR("trace_id", 0, 32, ""),
	FIELD_OBJECT("event", API_REQUIRED, "", api_audit_event),
	FIELD_END,
};

const struct api_field api_audit_list[] = {
	FIELD_OBJECTS("events", API_REQUIRED, 1000, "newest first", api_audit_row),
	FIELD_END,
};

static const struct api_field actor_request[] = {
	FIELD_ONE_OF("type", API_REQUIRED, "", actor_types),
	FIELD_STR("id", API_REQUIRED, 128, ""),
	FIELD_END,
};

const struct api_field api_audit_post[] = {
	FIELD_STR("event_type", API_REQUIRED, 64, "of the list of docs/formats/audit.md"),
	FIELD_OBJECT("actor", API_REQUIRED, "", actor_request),
	FIELD_ANY("payload", 0, "names only, never a value"),
	FIELD_END,
};

const struct api_field api_audit_posted[] = {
	FIELD_STR("audit_id", API_REQUIRED, 64, ""),
	FIELD_END,
};

const struct api_field api_verdict[] = {
	FIELD_BOOL("intact", API_REQUIRED, "every hash is what it must be"),
	FIELD_BOOL("origin_proven", API_REQUIRED, "signed by the device key"),
	FIELD_INT("events", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("checkpoints", API_REQUIRED, API_COUNT_MAX, ""),
	FIELD_INT("first_seq", API_REQUIRED, API_COUNT_MAX, "0 = none"),
	FIELD_INT("last_seq", API_REQUIRED, API_COUNT_MAX, "0 = none"),
	FIELD_INT("broken_seq", 0, API_COUNT_MAX, "the first event whose link is broken"),
	FIELD_STR("why", 0, 256, "what is broken"),
	FIELD_STR("note", 0, 128, "\"chain intact, origin not proven\"; absent when it is broken"),
	FIELD_END,
};
