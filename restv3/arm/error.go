package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An Error is a refusal as Resource Manager writes it.
type Error struct {
	Status  int
	Code    string
	Message string
	Target  string      // what is at fault, such as a property's path; may be empty
	Details []Detail    // more than one thing at fault
	Header  http.Header // to be sent along; may be nil
}

// A Detail is one of several things at fault, or the error of an operation.
type Detail struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Target  string   `json:"target,omitempty"`
	Details []Detail `json:"details,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf returns an Error.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is AMS's answer for an entity of an account that does not exist.
// (Recorded at 2018-07-01.)
func NotFound() *Error {
	return Errorf(http.StatusNotFound, "NotFound", "The requested resource was not found.")
}

// SubscriptionNotFound is the answer for another subscription.
func SubscriptionNotFound(id string) *Error {
	return Errorf(http.StatusNotFound, "SubscriptionNotFound", "The subscription '%s' could not be found.", clip(id))
}

// ResourceGroupNotFound is the answer for another resource group.
func ResourceGroupNotFound(name string) *Error {
	return Errorf(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", clip(name))
}

// ResourceNotFound is Resource Manager's own answer for a top-level resource:
// ResourceNotFound("Microsoft.Media/mediaservices", account, group).
func ResourceNotFound(typ, name, group string) *Error {
	return Errorf(http.StatusNotFound, "ResourceNotFound",
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		typ, clip(name), clip(group))
}

// BadRequest is AMS's answer for a body that breaks a rule. target is the path
// of the property at fault, or empty.
func BadRequest(target, format string, args ...any) *Error {
	e := Errorf(http.StatusBadRequest, "BadRequest", format, args...)
	e.Target = target
	return e
}

// InvalidContent is the answer for a body that cannot be read as what it
// should be.
func InvalidContent(target, format string, args ...any) *Error {
	e := Errorf(http.StatusBadRequest, "InvalidRequestContent",
		"The request content was invalid and could not be deserialized: '%s'.", fmt.Sprintf(format, args...))
	e.Target = target
	return e
}

// InvalidName is the answer for a name that breaks the rules of its type.
func InvalidName(format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, "InvalidResourceName", format, args...)
}

// Conflict is the answer for what the state of a resource does not allow.
func Conflict(format string, args ...any) *Error {
	return Errorf(http.StatusConflict, "Conflict", format, args...)
}

// TooMany is the answer for a limit that time lifts.
func TooMany(after time.Duration, format string, args ...any) *Error {
	e := Errorf(http.StatusTooManyRequests, "TooManyRequests", format, args...)
	e.Header = http.Header{"Retry-After": {strconv.Itoa(max(1, int((after+time.Second-1)/time.Second)))}}
	return e
}

// WriteError answers with e.
func WriteError(w http.ResponseWriter, e *Error) {
	h := w.Header()
	for name, values := range e.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for _, name := range []string{"Etag", "Location", "Azure-Asyncoperation"} {
		h.Del(name) // of the answer that was to be
	}
	var body struct {
		Error Detail `json:"error"`
	}
	body.Error = Detail{e.Code, e.Message, e.Target, e.Details}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings marshal
	}
	noCache(h)
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(e.Status)
	// A client that does not take it is gone.
	_, _ = w.Write(b)
}

// clip shortens what a client sent to what an error may repeat.
func clip(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
