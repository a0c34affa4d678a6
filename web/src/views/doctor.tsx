import { get } from "../api";
import { Text } from "../text";
import type { Check } from "../types";
import { Badge, Loading, Note, View, useLoaded } from "../ui";

export function DoctorView() {
  const doctor = useLoaded(() => get<{ ok: boolean; checks: Check[] }>("/v1/doctor"));
  const one = doctor.value;
  return (
    <View
      title="Doctor"
      actions={
        <button type="button" onClick={() => void doctor.reload()}>
          Look again
        </button>
      }
    >
      <Loading of={doctor} />
      {one && (
        <>
          <Note kind={one.ok ? "good" : "bad"}>{one.ok ? "Everything that was looked at is well." : "Something is not well."}</Note>
          <ul class="plain">
            {one.checks.map((check) => (
              <li key={check.name} class="check-row">
                <Badge kind={check.ok ? "good" : "bad"}>{check.ok ? "well" : "not well"}</Badge>{" "}
                <strong>
                  <Text of={check.name} />
                </strong>
                : <Text of={check.summary} />
                {check.advice && (
                  <p>
                    <Text of={check.advice} />
                  </p>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      <Note>
        A program that runs on this machine under your own user id can do what you can do here, and so can an agent outside of a sandbox. A passphrase that each approval asks for (<code>approvals.confirm</code>) is the barrier against that.
      </Note>
    </View>
  );
}
