package restblob

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// A fault is an error as the protocol spells it.
type fault struct {
	status int
	code   string
	msg    string
	detail string // AuthenticationErrorDetail
	header map[string]string
}

func (f *fault) Error() string { return f.code + ": " + f.msg }

func bad(code, format string, args ...any) error {
	return &fault{status: http.StatusBadRequest, code: code, msg: fmt.Sprintf(format, args...)}
}

// unserved is the answer to an operation that Azure has and openams has not.
func unserved(what string) error {
	return &fault{status: http.StatusNotImplemented, code: "NotImplemented", msg: "openams does not serve " + what + "."}
}

// errBody marks a body that broke off: the client's doing.
var errBody = errors.New("the request body could not be read to its end")

// faults maps what the store answers to the protocol's codes. The first that
// matches counts.
var faults = []struct {
	err    error
	status int
	code   string
}{
	{ams.ErrContainerNotFound, http.StatusNotFound, "ContainerNotFound"},
	{ams.ErrContainerExists, http.StatusConflict, "ContainerAlreadyExists"},
	{ams.ErrBlobNotFound, http.StatusNotFound, "BlobNotFound"},
	{ams.ErrBlobExists, http.StatusConflict, "BlobAlreadyExists"},
	{blob.ErrNotModified, http.StatusNotModified, "ConditionNotMet"},
	{blob.ErrUnsatisfiable, http.StatusBadRequest, "UnsatisfiableCondition"},
	{ams.ErrConditionNotMet, http.StatusPreconditionFailed, "ConditionNotMet"},
	{blob.ErrMD5, http.StatusBadRequest, "Md5Mismatch"},
	{blob.ErrCRC64, http.StatusBadRequest, "Crc64Mismatch"},
	{errBody, http.StatusBadRequest, "IncompleteBody"},
	{blob.ErrShort, http.StatusBadRequest, "IncompleteBody"},
	{blob.ErrBlockID, http.StatusBadRequest, "InvalidQueryParameterValue"},
	{blob.ErrBlockIDSize, http.StatusBadRequest, "InvalidBlobOrBlock"},
	{blob.ErrBlockList, http.StatusBadRequest, "InvalidBlockList"},
	{blob.ErrManyBlocks, http.StatusConflict, "BlockCountExceedsLimit"},
	{blob.ErrSnapshotsPresent, http.StatusConflict, "SnapshotsPresent"},
	{blob.ErrCopyPending, http.StatusConflict, "PendingCopyOperation"},
	{blob.ErrNoCopy, http.StatusConflict, "NoPendingCopyOperation"},
	{blob.ErrManyCopies, http.StatusServiceUnavailable, "ServerBusy"},
	{blob.ErrLeaseHeld, http.StatusConflict, "LeaseAlreadyPresent"},
	{blob.ErrLeaseMismatch, http.StatusConflict, "LeaseIdMismatchWithLeaseOperation"},
	{blob.ErrLeaseAbsent, http.StatusConflict, "LeaseNotPresentWithLeaseOperation"},
	{blob.ErrLeaseBreaking, http.StatusConflict, "LeaseIsBreakingAndCannotBeAcquired"},
	{blob.ErrLeaseBroken, http.StatusConflict, "LeaseIsBrokenAndCannotBeRenewed"},
	{blob.ErrLeaseMissing, http.StatusPreconditionFailed, "LeaseIdMissing"},
	{blob.ErrLeaseOther, http.StatusPreconditionFailed, "LeaseIdMismatchWithBlobOperation"},
	{blob.ErrLeaseNone, http.StatusPreconditionFailed, "LeaseNotPresentWithBlobOperation"},
	{blob.ErrLeaseLost, http.StatusPreconditionFailed, "LeaseLost"},
	{ams.ErrStorageFull, http.StatusInsufficientStorage, "InsufficientStorage"},
}

// toFault finds the fault in err; nil means that it is ours, and Internal.
func toFault(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	for _, m := range faults {
		if errors.Is(err, m.err) {
			// The sentinel's words: err's own may name files of the server.
			return &fault{status: m.status, code: m.code, msg: m.err.Error()}
		}
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &fault{status: http.StatusRequestEntityTooLarge, code: "RequestBodyTooLarge",
			msg: fmt.Sprintf("The request body is larger than the %d bytes allowed for this operation.", tooLarge.Limit)}
	}
	if e, ok := errors.AsType[*ams.Error](err); ok && e.Code == ams.Invalid {
		return &fault{status: http.StatusBadRequest, code: "InvalidInput", msg: e.Msg}
	}
	return nil
}

// writeFault answers with f. A body would break HEAD and 304.
func writeFault(w http.ResponseWriter, r *http.Request, f *fault, id string, now time.Time) {
	h := w.Header()
	for _, name := range []string{"Content-MD5", "Content-Encoding", "Content-Disposition", "Cache-Control", "Content-Language"} {
		h.Del(name)
	}
	for name, value := range f.header {
		h.Set(name, value)
	}
	h.Set("x-ms-error-code", f.code)
	if r.Method == http.MethodHead || f.status == http.StatusNotModified {
		h.Del("Content-Length")
		w.WriteHeader(f.status)
		return
	}
	var b bytes.Buffer
	b.WriteString(xmlHead + "<Error><Code>" + f.code + "</Code><Message>")
	xmlText(&b, f.msg)
	fmt.Fprintf(&b, "\nRequestId:%s\nTime:%s</Message>", id, now.UTC().Format("2006-01-02T15:04:05.0000000Z"))
	if f.detail != "" {
		b.WriteString("<AuthenticationErrorDetail>")
		xmlText(&b, f.detail)
		b.WriteString("</AuthenticationErrorDetail>")
	}
	b.WriteString("</Error>")
	writeXML(w, f.status, b.Bytes())
}
