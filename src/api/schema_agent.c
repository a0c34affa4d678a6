#include "api/schemas.h"

static const char *const agent_kinds[] = {"registered", "launch", "http", NULL};

#define AGENT_FIELDS                                                                                                   \
	FIELD_STR("id", API_REQUIRED, 0, "a ULID; no secret"),                                                         \
		FIELD_STR("name", API_REQUIRED, 64, "what people see it asks as"),                                     \
		FIELD_ONE_OF("kind", API_REQUIRED, "", agent_kinds),                                                   \
		FIELD_STR("program", API_REQUIRED, 64, "\"claude\"; \"\" when it is not known"),                       \
		FIELD_STR("created_at", API_REQUIRED, 0, "RFC 3339"),                                                  \
		FIELD_STR("last_used_at", 0, 0, "RFC 3339, to the minute"),                                            \
		FIELD_STR("revoked_at", 0, 0, "RFC 3339; absent while its token is valid"),                            \
		FIELD_STR("session", 0, 0, "launch: whose end is its token's")

const struct api_field api_agent[] = {
	AGENT_FIELDS,
	FIELD_END,
};

const struct api_field api_agent_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 0, "newest first, revoked ones too", api_agent),
	FIELD_END,
};

const struct api_field api_agent_request[] = {
	FIELD_STR("name", API_REQUIRED, 64, "what people see it asks as"),
	FIELD_ONE_OF("kind", API_REQUIRED, "registered: by `mcp install`; http: a token for a client of /mcp",
		     agent_kinds),
	FIELD_STR("program", 0, 64, "\"claude\""),
	FIELD_STR("session", 0, 64, "launch: of it"),
	FIELD_END,
};

const struct api_field api_agent_new[] = {
	AGENT_FIELDS,
	FIELD_STR("token", API_REQUIRED, 0, "for Authorization: Bearer at /mcp; told this once"),
	FIELD_END,
};
