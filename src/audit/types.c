#include "audit/audit.h"
#include "base/mem.h"

const char *audit_type_name(enum audit_type type)
{
	static const char *const names[] = {
#define AUDIT_NAME(symbol, name) [AUDIT_##symbol] = (name),
		AUDIT_TYPES(AUDIT_NAME)
#undef AUDIT_NAME
	};
	return names[type];
}

bool audit_name_is_external(struct str name)
{
	static const char *const names[] = {
		"intent.submitted",
		"policy.evaluated",
		"grant.issued",
		"grant.revoked",
		"approval.requested",
		"approval.approved",
		"approval.denied",
		"approval.modified",
		"execution.started",
		"execution.succeeded",
		"execution.failed",
		"tool.call.intercepted",
		"tool.call.forwarded",
		"tool.call.denied",
		"tool.call.pending_approval",
		"action.installed",
		"connector.installed",
		"connector.operation.rejected",
		"connector.proxy.rejected",
		"connector.proxy.proxied",
		"sandbox.proxy.rejected",
		"sandbox.proxy.passthrough",
		"sandbox.proxy.upgrade",
		"sandbox.proxy.binding_injected",
		"sandbox.proxy.foreign_token_not_swapped",
		"sandbox.proxy.disabled",
		"vault.credential.read",
		"vault.credential.write",
		"vault.credential.delete",
		"vault.user.credential.read",
		"vault.user.credential.write",
		"vault.user.credential.delete",
		"output.materialized",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(name, str_from(names[i])))
			return true;
	}
	return false;
}

struct audit_event audit_of_service(enum audit_type type, const char *name)
{
	return (struct audit_event){.type = type, .actor = AUDIT_ACTOR_SERVICE, .actor_id = str_from(name)};
}
