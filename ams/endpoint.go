package ams

import (
	"encoding/json"
	"time"
)

// A StreamingEndpoint is an origin server of an account. Only a Running one
// answers players.
type StreamingEndpoint struct {
	Account        string // Account.ID
	Name           string
	ID             string // guid
	Location       string
	Tags           map[string]string
	Description    string
	HostName       string // host[:port] that clients put after https://
	ScaleUnits     int    // 0 is Standard; no effect here
	State          EndpointState
	Body           json.RawMessage // maxCacheAge, accessControl, crossSiteAccessPolicies… in the v3 spelling
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// DefaultEndpoint is the endpoint that every account has from its creation
// and that cannot be deleted.
const DefaultEndpoint = "default"

// An EndpointState is where a streaming endpoint stands.
type EndpointState string

// The states of a streaming endpoint.
const (
	EndpointStopped  EndpointState = "Stopped"
	EndpointStarting EndpointState = "Starting"
	EndpointRunning  EndpointState = "Running"
	EndpointStopping EndpointState = "Stopping"
	EndpointDeleting EndpointState = "Deleting"
	EndpointScaling  EndpointState = "Scaling"
)

// An Operation is a long-running operation as clients poll it.
type Operation struct {
	ID       string // guid
	Account  string // Account.ID
	Kind     string // "streamingendpointoperations", "liveeventoperations" …: the segment of its URL
	Resource string // full resource id of what is operated on
	Status   OperationStatus
	Code     string // of the failure
	Message  string
	Created  time.Time
	Ended    time.Time // zero while in progress
}

// An OperationStatus is where an Operation stands.
type OperationStatus string

// The states of a long-running operation.
const (
	OperationInProgress OperationStatus = "InProgress"
	OperationSucceeded  OperationStatus = "Succeeded"
	OperationFailed     OperationStatus = "Failed"
)
