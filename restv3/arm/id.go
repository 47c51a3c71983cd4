package arm

import (
	"errors"
	"strings"
)

// An ID names a resource: /subscriptions/S/resourceGroups/G/providers/
// NAMESPACE/TYPE/NAME/TYPE/NAME. Its words have no case and keep the one they
// were written in.
type ID struct {
	Subscription  string
	ResourceGroup string   // empty for a resource of the subscription itself
	Namespace     string   // such as Microsoft.Media; empty for a group or subscription
	Types, Names  []string // equally many, outermost first
}

const (
	maxID       = 4096 // bytes
	maxSegments = 32
)

var errID = errors.New("arm: not a resource id")

// ParseID reads an id as bodies spell it: nothing is escaped in it.
func ParseID(s string) (ID, error) {
	if len(s) > maxID || !strings.HasPrefix(s, "/") {
		return ID{}, errID
	}
	part := strings.Split(strings.TrimSuffix(s[1:], "/"), "/")
	if len(part) > maxSegments || len(part)%2 != 0 {
		return ID{}, errID
	}
	for _, p := range part {
		if p == "" {
			return ID{}, errID
		}
	}
	if !strings.EqualFold(part[0], "subscriptions") {
		return ID{}, errID
	}
	id := ID{Subscription: part[1]}
	part = part[2:]
	if len(part) > 0 && strings.EqualFold(part[0], "resourceGroups") {
		id.ResourceGroup = part[1]
		part = part[2:]
	}
	if len(part) == 0 {
		return id, nil
	}
	if !strings.EqualFold(part[0], "providers") || len(part) < 4 {
		return ID{}, errID
	}
	id.Namespace = part[1]
	for part = part[2:]; len(part) > 0; part = part[2:] {
		id.Types, id.Names = append(id.Types, part[0]), append(id.Names, part[1])
	}
	return id, nil
}

// String spells id.
func (id ID) String() string {
	var b strings.Builder
	b.WriteString("/subscriptions/" + id.Subscription)
	if id.ResourceGroup != "" {
		b.WriteString("/resourceGroups/" + id.ResourceGroup)
	}
	if id.Namespace != "" {
		b.WriteString("/providers/" + id.Namespace)
	}
	for i, t := range id.Types {
		b.WriteString("/" + t + "/" + id.Names[i])
	}
	return b.String()
}

// Type returns the resource type, such as Microsoft.Media/mediaservices/assets.
func (id ID) Type() string {
	switch {
	case id.Namespace != "":
		return id.Namespace + "/" + strings.Join(id.Types, "/")
	case id.ResourceGroup != "":
		return "Microsoft.Resources/resourceGroups"
	}
	return "Microsoft.Resources/subscriptions"
}

// Name returns the last name of id.
func (id ID) Name() string {
	switch {
	case len(id.Names) > 0:
		return id.Names[len(id.Names)-1]
	case id.ResourceGroup != "":
		return id.ResourceGroup
	}
	return id.Subscription
}

// Child returns the id of a resource below id.
func (id ID) Child(typ, name string) ID {
	id.Types = append(id.Types[:len(id.Types):len(id.Types)], typ)
	id.Names = append(id.Names[:len(id.Names):len(id.Names)], name)
	return id
}

// Parent returns the id of the resource that id is directly below.
func (id ID) Parent() ID {
	if n := len(id.Names); n > 1 {
		id.Types, id.Names = id.Types[:n-1:n-1], id.Names[:n-1:n-1]
		return id
	} else if n == 1 {
		id.Types, id.Names, id.Namespace = nil, nil, ""
		return id
	}
	return ID{Subscription: id.Subscription}
}

// Equal reports whether two ids name one resource.
func (id ID) Equal(other ID) bool { return strings.EqualFold(id.String(), other.String()) }
