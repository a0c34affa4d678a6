#include "api/schemas.h"

static const char *const types[] = {"string", "integer", "number", "boolean", "array", "object", NULL};
static const char *const effects[] = {"read", "write", "destructive", "unknown", NULL};
static const char *const statuses[] = {"linked", "missing", NULL};
static const char *const pins[] = {"match", "differs", "unpinned", NULL};

const struct api_field api_action_connector[] = {
	FIELD_STR("name", API_REQUIRED, API_NAME_MAX, "its FQN"),
	FIELD_STR("version", API_REQUIRED, 128, "that the action was written for"),
	FIELD_STR("hash", API_REQUIRED, 80, "that it pins; sha256:bound-at-release pins none"),
	FIELD_LIST("capabilities", API_REQUIRED, 0, "operations that it may call"),
	FIELD_LIST("hosts", API_REQUIRED, 0, "\"host:port\" that it may reach: the action's own, or the manifest's"),
	FIELD_BOOL("any_public_host", API_REQUIRED, "neither has a list"),
	FIELD_ONE_OF("status", API_REQUIRED, "", statuses),
	FIELD_STR("actual_version", 0, 128, "absent while it is missing"),
	FIELD_STR("actual_hash", 0, 80, "as last seen; absent while it is missing"),
	FIELD_ONE_OF("pinned", 0, "absent while it is missing and pinned", pins),
	FIELD_END,
};

const struct api_field api_action_requires[] = {
	FIELD_OBJECTS("connectors", API_REQUIRED, 0, "", api_action_connector),
	FIELD_END,
};

const struct api_field api_action_match[] = {
	FIELD_STR("intent", API_REQUIRED, 0, ""),
	FIELD_END,
};

const struct api_field api_action_input[] = {
	FIELD_STR("name", API_REQUIRED, 0, ""),
	FIELD_ONE_OF("type", API_REQUIRED, "", types),
	FIELD_ONE_OF("items_type", 0, "of an array", types),
	FIELD_BOOL("required", API_REQUIRED, ""),
	FIELD_STR("description", API_REQUIRED, 0, ""),
	FIELD_STR("label", 0, 0, "for people; absent: the name"),
	FIELD_BOOL("multiline", API_REQUIRED, ""),
	FIELD_END,
};

const struct api_field api_action_step[] = {
	FIELD_STR("id", API_REQUIRED, 0, ""),
	FIELD_STR("connector", API_REQUIRED, API_NAME_MAX, ""),
	FIELD_STR("op", API_REQUIRED, 0, ""),
	FIELD_ONE_OF("effect", API_REQUIRED, "", effects),
	FIELD_BOOL("idempotent", 0, "absent: the manifest says"),
	FIELD_ANY("inputs", 0, "with templates"),
	FIELD_END,
};

const struct api_field api_action_preview[] = {
	FIELD_STR("op", API_REQUIRED, 0, ""),
	FIELD_ANY("args", 0, "with templates"),
	FIELD_MAP("render", API_REQUIRED, 0, "label to path"),
	FIELD_LIST("multiline", API_REQUIRED, 0, "labels"),
	FIELD_END,
};

const struct api_field api_action_approval[] = {
	FIELD_BOOL("required", API_REQUIRED, "a person decides about each run"),
	FIELD_BOOL("editable", API_REQUIRED, "and may change the arguments"),
	FIELD_BOOL("grants", API_REQUIRED, "and may allow it for a while"),
	FIELD_OBJECT("preview", 0, "", api_action_preview),
	FIELD_END,
};

const struct api_field api_action_hints[] = {
	FIELD_BOOL("read_only", API_REQUIRED, ""),
	FIELD_BOOL("destructive", API_REQUIRED, ""),
	FIELD_BOOL("idempotent", API_REQUIRED, ""),
	FIELD_BOOL("open_world", API_REQUIRED, ""),
	FIELD_END,
};

const struct api_field api_action[] = {
	FIELD_STR("name", API_REQUIRED, 0, ""),
	FIELD_STR("version", API_REQUIRED, 128, ""),
	FIELD_STR("title", API_REQUIRED, 0, ""),
	FIELD_STR("source", API_REQUIRED, 0, "where it comes from"),
	FIELD_STR("hash", API_REQUIRED, 80, "of the file: \"sha256:\" and 64 hex digits"),
	FIELD_STR("tool", API_REQUIRED, 64, "its name for agents; \"\" when it is not offered"),
	FIELD_STR("tool_problem", 0, 0, "why not"),
	FIELD_OBJECT("requires", API_REQUIRED, "", api_action_requires),
	FIELD_OBJECT("match", API_REQUIRED, "", api_action_match),
	FIELD_OBJECTS("inputs", API_REQUIRED, 0, "", api_action_input),
	FIELD_OBJECTS("execute", API_REQUIRED, 0, "steps, in order", api_action_step),
	FIELD_OBJECT("approval", API_REQUIRED, "", api_action_approval),
	FIELD_OBJECT("hints", API_REQUIRED, "as agents get them", api_action_hints),
	FIELD_BOOL("enabled", API_REQUIRED, "a disabled one is offered to nobody"),
	FIELD_BOOL("linked", API_REQUIRED, "a file of its author, read anew at each use"),
	FIELD_BOOL("signed", API_REQUIRED, ""),
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, "the file"),
	FIELD_STR("linked_at", API_REQUIRED, 0, "RFC 3339"),
	FIELD_LIST("problems", API_REQUIRED, 0, "rules that it breaks, and works all the same"),
	FIELD_STR("body", 0, 0, "Markdown; of one action alone"),
	FIELD_END,
};

const struct api_field api_load_error[] = {
	FIELD_STR("class", API_REQUIRED, 64, ""),
	FIELD_STR("message", API_REQUIRED, 0, ""),
	FIELD_STR("file", API_REQUIRED, 0, "path of the file or the folder; \"\" = of none"),
	FIELD_INT("line", 0, API_COUNT_MAX, ""),
	FIELD_STR("action", 0, 0, "its name, when it is known"),
	FIELD_STR("boundary", API_REQUIRED, 64, ""),
	FIELD_END,
};

const struct api_field api_action_list[] = {
	FIELD_OBJECTS("items", API_REQUIRED, 0, "by name", api_action),
	FIELD_OBJECTS("load_errors", API_REQUIRED, 0, "files that are no actions, and what else is wrong",
		      api_load_error),
	FIELD_END,
};

const struct api_field api_action_patch[] = {
	FIELD_BOOL("enabled", API_REQUIRED, ""),
	FIELD_END,
};

const struct api_field api_action_link_request[] = {
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX - 1,
		  "an absolute path: of a file, when it ends in .md, else of a folder"),
	FIELD_END,
};

const struct api_field api_action_link[] = {
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, "canonical"),
	FIELD_OBJECTS("actions", API_REQUIRED, 0, "that it has", api_action),
	FIELD_OBJECTS("load_errors", API_REQUIRED, 0, "of its files", api_load_error),
	FIELD_END,
};

const struct api_field api_action_unlink_request[] = {
	FIELD_STR("path", 0, API_FOLDER_MAX - 1, "as it was linked"),
	FIELD_STR("name", 0, API_NAME_MAX, "of an action whose file was linked by itself"),
	FIELD_END,
};

const struct api_field api_action_unlink[] = {
	FIELD_STR("path", API_REQUIRED, API_FOLDER_MAX, ""),
	FIELD_LIST("actions", API_REQUIRED, 0, "names of those that are gone"),
	FIELD_END,
};
