package odata

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/openams/openams/middleware"
)

// An Error is a refusal that the client may read.
type Error struct {
	Status  int
	Code    string // AMS left it empty
	Message string
	Header  http.Header // to be sent along; may be nil
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an Error.
func Errorf(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// BadRequest is the answer for a request that breaks a rule.
func BadRequest(format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, format, args...)
}

// NotFound is the answer for an entity that does not exist. (The text is that
// of WCF Data Services, on which AMS was built.)
func NotFound(segment string) *Error {
	return Errorf(http.StatusNotFound, "Resource not found for the segment '%s'.", clip(segment))
}

// NotServed is the answer for what AMS had and this server does not.
func NotServed(what string) *Error {
	return Errorf(http.StatusNotImplemented, "%s is not supported by this server yet.", what)
}

func (m *Model) noProperty(name, typ string) *Error {
	return BadRequest("The property '%s' does not exist on type '%s.%s'. Make sure to only use property names that are defined by the type.",
		clip(name), m.Namespace, typ)
}

// notServed is the answer for a method that AMS took and the handler of the
// set does not.
func notServed(s *EntitySet, method string) *Error {
	return NotServed("The HTTP method '" + clip(method) + "' for the entity set '" + s.Name + "'")
}

func wrongMethod(s *EntitySet, method string) *Error {
	e := Errorf(http.StatusMethodNotAllowed, "The HTTP method '%s' is not allowed for the entity set '%s'.", clip(method), s.Name)
	if method == "MERGE" && slices.Contains(s.Methods, "POST") {
		// AMS answered 400 to updates of what clients make and never change.
		// (Documented for job templates and access policies.)
		return BadRequest("Entities of the entity set '%s' cannot be updated.", s.Name)
	}
	e.Header = http.Header{"Allow": {strings.Join(s.Methods, ", ")}}
	return e
}

// fault finds what to answer to err, and logs what is the server's own fault.
func (s *Server) fault(c *call, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if ok && error(e) != err {
		// The context around it is for the client too.
		clone := *e
		clone.Message = err.Error()
		e = &clone
	}
	if !ok && s.c.Fault != nil {
		e = s.c.Fault(err)
	}
	if e == nil && c.ctx.Err() != nil {
		// Nobody waits for the answer.
		panic(http.ErrAbortHandler)
	}
	if e == nil {
		e = Errorf(http.StatusInternalServerError, "The server failed. The request id is %s.", middleware.RequestID(c.ctx))
	}
	if e.Status >= 500 && e.Status != http.StatusNotImplemented {
		s.c.Log.ErrorContext(c.ctx, "request failed", "request_id", middleware.RequestID(c.ctx),
			"method", c.method, "path", c.path, "error", err)
	}
	return e
}
