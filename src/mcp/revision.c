/* Names of revisions and levels, and what HTTP makes of an error. */
#include "mcp/core.h"

static const struct str versions[MCP_VERSION__MAX] = {
	[MCP_2024_11_05] = {"2024-11-05", 10}, [MCP_2025_03_26] = {"2025-03-26", 10},
	[MCP_2025_06_18] = {"2025-06-18", 10}, [MCP_2025_11_25] = {"2025-11-25", 10},
	[MCP_2026_07_28] = {"2026-07-28", 10},
};

struct str mcp_version_name(enum mcp_version version)
{
	return versions[version];
}

bool mcp_version_named(struct str name, enum mcp_version *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (!str_eq(name, versions[i]))
			continue;
		*ret = (enum mcp_version)i;
		return true;
	}
	return false;
}

static const char *const levels[MCP_LEVEL__MAX] = {
	[MCP_DEBUG] = "debug", [MCP_INFO] = "info",         [MCP_NOTICE] = "notice", [MCP_WARNING] = "warning",
	[MCP_ERROR] = "error", [MCP_CRITICAL] = "critical", [MCP_ALERT] = "alert",   [MCP_EMERGENCY] = "emergency",
};

bool level_named(struct str name, enum mcp_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (!str_eq(name, str_from(levels[i])))
			continue;
		*ret = (enum mcp_level)i;
		return true;
	}
	return false;
}

struct str level_name(enum mcp_level level)
{
	return str_from(levels[level]);
}

unsigned render_status(enum mcp_version version, int code)
{
	if (version != MCP_2026_07_28)
		return 200;
	return code == MCP_MISSING_CAPABILITY ? 400 : 200;
}
