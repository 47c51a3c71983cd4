package ams

import (
	"errors"
	"fmt"
)

// A Code is the kind of an Error. Each API face maps it to its own status and
// wire code in one table.
type Code int

// The kinds of failure that a caller of an API may read.
const (
	Internal     Code = iota // a fault of ours: logged whole, shown as a request id
	Invalid                  // the request breaks a rule
	NotFound                 // the entity does not exist
	Exists                   // an entity of that name exists already
	Conflict                 // the entity's state does not allow the operation now
	Precondition             // an If-Match or similar condition does not hold
	Forbidden                // the caller may not do this
	Limit                    // a quota is used up
	Unsupported              // a legal request for something this server does not do
	Unavailable              // try again later: the disk is full, the server is stopping
)

// An Error is a failure the caller of an API may read. Anything else that
// reaches a face is Internal: logged in full, shown as a request id.
type Error struct {
	Code   Code
	Msg    string
	Target string // the offending property or parameter, as a path; empty when not one
}

func (e *Error) Error() string { return e.Msg }

// Errorf makes an Error of the given kind.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Invalidf makes an Invalid error about the property at the path target.
func Invalidf(target, format string, args ...any) error {
	return &Error{Code: Invalid, Msg: fmt.Sprintf(format, args...), Target: target}
}

// CodeOf finds the Code in err's chain, so fmt.Errorf("publish %q: %w", …)
// adds context and keeps the kind.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
