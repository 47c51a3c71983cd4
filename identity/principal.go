package identity

import (
	"context"
	"slices"
	"strings"
)

// A Kind says what a principal is, in the words of systemData.createdByType.
type Kind string

const (
	Application     Kind = "Application" // a service principal
	User            Kind = "User"
	ManagedIdentity Kind = "ManagedIdentity"
)

// A Principal is somebody who may call, with what they may do.
type Principal struct {
	ID          string       `json:"id"`              // object id, a GUID: the oid of tokens
	AppID       string       `json:"appId,omitempty"` // client id, a GUID; of a person: of the program that acts for them
	TenantID    string       `json:"-"`               // of the data folder; empty: another authority's, whose object ids are not ours
	Name        string       `json:"name"`
	Kind        Kind         `json:"kind"`
	Assignments []Assignment `json:"assignments"`
}

// An Assignment gives a role on everything at and below a scope.
type Assignment struct {
	Role  Role   `json:"role"`
	Scope string `json:"scope"` // "/" or a Resource Manager id
}

// May reports whether p may do an action, such as
// "Microsoft.Media/mediaservices/assets/listContainerSas/action", on the
// resource at scope. Neither has a case.
func (p *Principal) May(action, scope string) bool {
	return slices.ContainsFunc(p.Assignments, func(a Assignment) bool {
		return covers(a.Scope, scope) && a.Role.Allows(action)
	})
}

// Who names p in records and messages as Azure does: people by their sign-in
// name, programs by their client id.
func (p *Principal) Who() string {
	switch {
	case p.Kind == User && p.Name != "":
		return p.Name
	case p.AppID != "":
		return p.AppID
	}
	return p.ID
}

// Roles returns the names of p's roles, each once, sorted.
func (p *Principal) Roles() []string {
	var names []string
	for _, a := range p.Assignments {
		names = append(names, string(a.Role))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// covers reports whether scope is outer or lies below it.
func covers(outer, scope string) bool {
	outer = strings.TrimRight(strings.ToLower(outer), "/")
	scope = strings.TrimRight(strings.ToLower(scope), "/")
	rest, ok := strings.CutPrefix(scope, outer)
	return ok && (rest == "" || rest[0] == '/')
}

type principalKey struct{}

// NewContext returns ctx with the caller p.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the caller of ctx, or nil.
func FromContext(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}
