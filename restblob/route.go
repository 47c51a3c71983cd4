package restblob

import (
	"net/http"
)

// An operation is a row of the protocol.
type operation struct {
	// What a signature must grant, any one letter of each: sp of a service or
	// user delegation SAS ("": none may), sp and srt of an account SAS.
	service, account string
	resource         string
	write            bool // by bearer token: needs the right to write
	public           bool // may be read without a signature if the container says so
	refused          bool // Azure has it, openams has not
	run              func(s *server, w http.ResponseWriter, q *request) error
}

// route finds the operation of q.
func route(q *request) (operation, error) {
	comp, restype := q.query.Get("comp"), q.query.Get("restype")
	get := q.Method == http.MethodGet || q.Method == http.MethodHead
	if restype == "account" && comp == "properties" && get {
		return operation{service: "racwdl", account: "racwdl", resource: "sco", run: (*server).accountInfo}, nil
	}
	var op operation
	switch {
	case q.container == "":
		op = serviceOperation(q, get, comp)
	case q.blob == "":
		if restype != "container" {
			return op, bad("InvalidUri", "A request for a container says restype=container; blobs of the root container are addressed as $root/name.")
		}
		op = containerOperation(q, get, comp)
	default:
		op = blobOperation(q, get, comp)
	}
	if op.run == nil {
		if comp != "" {
			switch q.Method {
			case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
				return op, bad("InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid: comp=%s with %s.", comp, q.Method)
			}
		}
		return op, &fault{status: http.StatusMethodNotAllowed, code: "UnsupportedHttpVerb", msg: "The resource doesn't support the specified HTTP verb."}
	}
	return op, nil
}

func serviceOperation(q *request, get bool, comp string) operation {
	switch {
	case get && comp == "list":
		return operation{account: "l", resource: "s", run: (*server).listContainers}
	case get && comp == "properties":
		return operation{account: "r", resource: "s", run: (*server).serviceProperties}
	case comp == "properties" && q.Method == http.MethodPut:
		return operation{account: "w", resource: "s", write: true, run: (*server).setServiceProperties}
	case comp == "userdelegationkey" && q.Method == http.MethodPost:
		return operation{run: (*server).userDelegationKey}
	case comp == "batch" && q.Method == http.MethodPost:
		return batches()
	case comp == "stats":
		return refused("replication statistics")
	case comp == "blobs":
		return refused("finding blobs by tags")
	}
	return operation{}
}

func containerOperation(q *request, get bool, comp string) operation {
	put := q.Method == http.MethodPut
	switch {
	case comp == "" && put:
		return operation{account: "cw", resource: "c", write: true, run: (*server).createContainer}
	case comp == "" && get, comp == "metadata" && get:
		return operation{account: "r", resource: "c", public: true, run: (*server).containerProperties}
	case comp == "metadata" && put:
		return operation{account: "w", resource: "c", write: true, run: (*server).setContainerMetadata}
	case comp == "" && q.Method == http.MethodDelete:
		return operation{account: "d", resource: "c", write: true, run: (*server).deleteContainer}
	case comp == "acl" && get:
		return operation{run: (*server).containerACL}
	case comp == "acl" && put:
		return operation{write: true, run: (*server).setContainerACL}
	case comp == "list" && get:
		return operation{service: "l", account: "l", resource: "c", public: true, run: (*server).listBlobs}
	case comp == "lease" && put:
		return operation{account: "wd", resource: "c", write: true, run: (*server).leaseContainer}
	case comp == "undelete":
		return refused("undeleting containers")
	case comp == "batch" && q.Method == http.MethodPost:
		return batches()
	}
	return operation{}
}

// batches are open to whoever may do anything: each part shows what it may.
func batches() operation {
	op := refused("")
	op.write, op.refused, op.run = false, false, (*server).batch
	return op
}

// readOperation is what reading the bytes of a blob needs.
func readOperation() operation {
	return operation{service: "r", account: "r", resource: "o", public: true}
}

func blobOperation(q *request, get bool, comp string) operation {
	put := q.Method == http.MethodPut
	read := readOperation()
	write := operation{service: "w", account: "w", resource: "o", write: true}
	create := operation{service: "wc", account: "wc", resource: "o", write: true}
	with := func(op operation, run func(*server, http.ResponseWriter, *request) error) operation {
		op.run = run
		return op
	}
	switch {
	case q.query.Has("snapshot") && (put || comp != "" && comp != "metadata"):
		return operation{service: "rw", account: "rw", resource: "o", write: true, run: func(*server, http.ResponseWriter, *request) error {
			return bad("InvalidQueryParameterValue", "A snapshot never changes, and only its bytes, properties and metadata can be read.")
		}}
	case q.query.Has("versionid") && comp != "":
		return refused("versions")
	case comp == "" && get:
		return with(read, (*server).getBlob)
	case comp == "" && put:
		if q.Header.Get("x-ms-copy-source") != "" {
			if q.Header.Get("x-ms-blob-type") != "" {
				return with(create, (*server).putBlobFromURL)
			}
			return with(create, (*server).copyBlob)
		}
		return with(create, (*server).putBlob)
	case comp == "" && q.Method == http.MethodDelete:
		return operation{service: "d", account: "d", resource: "o", write: true, run: (*server).deleteBlob}
	case comp == "block" && put:
		if q.Header.Get("x-ms-copy-source") != "" {
			return with(create, (*server).putBlockFromURL)
		}
		return with(create, (*server).putBlock)
	case comp == "blocklist" && put:
		return with(create, (*server).putBlockList)
	case comp == "blocklist" && get:
		return with(read, (*server).blockList)
	case comp == "properties" && put:
		return with(write, (*server).setBlobProperties)
	case comp == "metadata" && put:
		return with(write, (*server).setBlobMetadata)
	case comp == "metadata" && get:
		return with(read, (*server).blobMetadata)
	case comp == "tier" && put:
		return with(write, (*server).setBlobTier)
	case comp == "lease" && put:
		return operation{service: "wd", account: "wd", resource: "o", write: true, run: (*server).leaseBlob}
	case comp == "snapshot" && put:
		return with(create, (*server).snapshotBlob)
	case comp == "copy" && put:
		return with(write, (*server).abortCopy)
	case comp == "tags" && get:
		return operation{service: "t", account: "t", resource: "o", run: (*server).blobTags}
	case comp == "tags" && put:
		return operation{service: "t", account: "t", resource: "o", write: true, run: (*server).setBlobTags}
	case comp == "page" || comp == "pagelist" || comp == "appendblock" || comp == "seal" || comp == "incrementalcopy":
		return refused("page and append blobs")
	case comp == "query" || comp == "undelete" || comp == "expiry" || comp == "immutabilityPolicies" || comp == "legalhold":
		return refused("comp=" + comp)
	}
	return operation{}
}

// refused is an operation of Azure that openams has not: it still asks who is
// calling, so that strangers learn nothing.
func refused(what string) operation {
	return operation{service: "racwdlxytmefopi", account: "racwdlxytmefopi", resource: "sco", write: true, refused: true,
		run: func(*server, http.ResponseWriter, *request) error { return unserved(what) }}
}
