#include "control/vault_status.h"
#include "base/mem.h"
#include "text/json_members.h"

const char *vault_state_name(enum keeper_lock_state state)
{
	static const char *const names[] = {
		[KEEPER_MISSING] = "missing", [KEEPER_LOCKED] = "locked", [KEEPER_UNLOCKED] = "unlocked"};
	return (size_t)state < ARRAY_LEN(names) ? names[state] : "locked";
}

void vault_status_put_members(struct json_writer *w, const struct keeper_state *state)
{
	member_bool(w, "locked", state->state != KEEPER_UNLOCKED);
	member_z(w, "state", vault_state_name(state->state));
	if (state->state != KEEPER_MISSING) {
		member_u64(w, "version", state->version);
		member_str_given(w, "vault_id", state->vault_id);
		member_u64(w, "generation", state->generation);
		member_u64(w, "entries", state->entries);
		member_u64(w, "members", state->members);
	}
	member_time_given(w, "unlocked_at", state->unlocked_at_s * TIME_SECOND);
	member_u64(w, "auto_lock_ms", state->auto_lock_ms);
	member_u64_given(w, "throttled_ms", state->throttled_ms);
	member_str_given(w, "device_key_id", state->device_key_id);
	member_str_given(w, "trouble", state->trouble);
}
