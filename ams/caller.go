package ams

import "strings"

// CallerText is how records keep who made or changed them, in CreatedBy and
// LastModifiedBy: "{kind} {name}", where the kind is one of
// systemData.createdByType (User, ManagedIdentity), and a client id alone for an
// Application. Empty stays empty: the server itself.
func CallerText(kind, name string) string {
	if kind == "" || kind == application || name == "" {
		return name
	}
	return kind + " " + name
}

const application = "Application"

// SplitCaller is the reverse of CallerText.
func SplitCaller(text string) (kind, name string) {
	for _, kind := range []string{"User", "ManagedIdentity"} {
		if name, ok := strings.CutPrefix(text, kind+" "); ok {
			return kind, name
		}
	}
	return application, text
}
