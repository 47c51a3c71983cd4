package restv3

import (
	"errors"
	"net/http"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// faults is how v3 answers each kind of failure. Internal ones are arm's: a
// 500 that shows the request id alone.
var faults = map[ams.Code]struct {
	status int
	code   string
}{
	ams.Invalid:      {http.StatusBadRequest, "BadRequest"},
	ams.NotFound:     {http.StatusNotFound, "NotFound"},
	ams.Exists:       {http.StatusConflict, "Conflict"},
	ams.Conflict:     {http.StatusConflict, "Conflict"},
	ams.Precondition: {http.StatusPreconditionFailed, "PreconditionFailed"},
	ams.Forbidden:    {http.StatusForbidden, "LinkedAuthorizationFailed"}, // the router has checked the rest
	ams.Limit:        {http.StatusConflict, "QuotaExceeded"},
	ams.Unsupported:  {http.StatusBadRequest, "NotSupported"},
	ams.Unavailable:  {http.StatusServiceUnavailable, "ServiceUnavailable"},
}

// fault spells an error of account for Resource Manager, or returns nil for
// one that the caller may not read.
func fault(err error) *arm.Error {
	e, ok := errors.AsType[*ams.Error](err)
	if !ok {
		return nil
	}
	f, ok := faults[e.Code]
	if !ok {
		return nil
	}
	if e.Code == ams.NotFound {
		return arm.NotFound() // recorded: the text names no entity
	}
	// err, not e: the context around the kind is for the caller too.
	answer := arm.Errorf(f.status, f.code, "%s", err.Error())
	answer.Target = e.Target
	if e.Code == ams.Invalid && e.Target == "name" { // the resource's own, in the path
		answer.Code, answer.Target = "InvalidResourceName", ""
	}
	return answer
}

// notYet answers for an operation of AMS that this server does not have yet.
func notYet(op string) arm.Handler {
	return func(http.ResponseWriter, *http.Request) error {
		return arm.Errorf(http.StatusNotImplemented, "NotImplemented", "The operation '%s' is not supported by this server yet.", op)
	}
}
