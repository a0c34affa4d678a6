package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

const notesURL = "https://notes.example.com/v1/notes"

type request struct {
	Method     string            `json:"method"`
	URL        string            `json:"url"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
	Credential string            `json:"credential,omitempty"`
}

type response struct {
	status int
	body   []byte
}

// transport is httpDo in a host, and a fake in the tests.
type transport func(request) (response, error)

type opError struct{ class, message string }

func (e *opError) Error() string { return e.class + ": " + e.message }

func ask(do transport, req request) ([]byte, error) {
	req.Credential = "api_key"
	req.Headers = map[string]string{"Accept": "application/json"}
	if req.Body != "" {
		req.Headers["Content-Type"] = "application/json"
	}
	res, err := do(req)
	if err != nil {
		return nil, err
	}
	if res.status >= 300 {
		return nil, &opError{"external_api_error", fmt.Sprintf("Notes returned %d: %s", res.status, res.body)}
	}
	return res.body, nil
}

type op func(do transport, args map[string]any) (map[string]any, error)

var ops = map[string]op{"greet": greet, "list_notes": listNotes, "add_note": addNote}

func greet(_ transport, args map[string]any) (map[string]any, error) {
	name, ok := args["name"].(string)
	if !ok {
		return nil, &opError{"bad_argument", "'name' must be a string"}
	}
	return map[string]any{"greeting": "hello, " + name}, nil
}

func listNotes(do transport, _ map[string]any) (map[string]any, error) {
	body, err := ask(do, request{Method: "GET", URL: notesURL})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Notes []any `json:"notes"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, &opError{"external_api_error", "Notes answered with something else than JSON"}
	}
	if answer.Notes == nil {
		answer.Notes = []any{}
	}
	return map[string]any{"count": len(answer.Notes), "notes": answer.Notes}, nil
}

func addNote(do transport, args map[string]any) (map[string]any, error) {
	title, ok := args["title"].(string)
	if !ok || title == "" {
		return nil, &opError{"bad_argument", "'title' must be a string that is not empty"}
	}
	payload, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		return nil, err
	}
	body, err := ask(do, request{Method: "POST", URL: notesURL, Body: string(payload)})
	if err != nil {
		return nil, err
	}
	var note struct {
		ID any `json:"id"`
	}
	if err := json.Unmarshal(body, &note); err != nil {
		return nil, &opError{"external_api_error", "Notes answered with something else than JSON"}
	}
	logLine("info", "a note was added")
	return map[string]any{"id": note.ID}, nil
}

// handle turns one input into one output document; nothing else is ever written to standard output.
func handle(do transport, input []byte) any {
	var call struct {
		Op   string         `json:"op"`
		Args map[string]any `json:"args"`
	}
	if err := json.Unmarshal(input, &call); err != nil {
		return failure(&opError{"connector_runtime_error", "the input is not JSON: " + err.Error()})
	}
	run, ok := ops[call.Op]
	if !ok {
		return failure(&opError{"unknown_op", fmt.Sprintf("there is no op %q", call.Op)})
	}
	output, err := run(do, call.Args)
	if err != nil {
		return failure(err)
	}
	return map[string]any{"output": output}
}

func failure(err error) any {
	var known *opError
	if !errors.As(err, &known) {
		known = &opError{"connector_runtime_error", err.Error()}
	}
	return map[string]any{"error": map[string]string{"class": known.class, "message": known.message}}
}
