package main

import (
	"encoding/json"
	"testing"
)

func run(t *testing.T, do transport, input string) string {
	t.Helper()
	out, err := json.Marshal(handle(do, []byte(input)))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func answering(status int, body string, seen *request) transport {
	return func(req request) (response, error) {
		*seen = req
		return response{status, []byte(body)}, nil
	}
}

func TestOps(t *testing.T) {
	var seen request
	for _, c := range []struct {
		name, input, want string
		status            int
		body              string
	}{
		{"greet", `{"op":"greet","args":{"name":"Ada"}}`, `{"output":{"greeting":"hello, Ada"}}`, 0, ""},
		{"greet without a name", `{"op":"greet","args":{}}`,
			`{"error":{"class":"bad_argument","message":"'name' must be a string"}}`, 0, ""},
		{"list", `{"op":"list_notes","args":{}}`, `{"output":{"count":1,"notes":[{"id":1}]}}`, 200, `{"notes":[{"id":1}]}`},
		{"add", `{"op":"add_note","args":{"title":"x"}}`, `{"output":{"id":7}}`, 201, `{"id":7}`},
		{"refused", `{"op":"list_notes","args":{}}`,
			`{"error":{"class":"external_api_error","message":"Notes returned 401: no"}}`, 401, "no"},
		{"unknown", `{"op":"nope","args":{}}`, `{"error":{"class":"unknown_op","message":"there is no op \"nope\""}}`, 0, ""},
	} {
		if got := run(t, answering(c.status, c.body, &seen), c.input); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	run(t, answering(201, `{"id":1}`, &seen), `{"op":"add_note","args":{"title":"x"}}`)
	if seen.Credential != "api_key" || seen.Method != "POST" || seen.Body != `{"title":"x"}` {
		t.Errorf("the request was %+v", seen)
	}
}
