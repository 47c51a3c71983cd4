package identity

import "strings"

// A Role is the name of an Azure role, as Azure shows it.
type Role string

const (
	Owner       Role = "Owner"
	Contributor Role = "Contributor"
	Reader      Role = "Reader"

	MediaAccountAdministrator            Role = "Media Services Account Administrator"
	MediaLiveEventsAdministrator         Role = "Media Services Live Events Administrator"
	MediaOperator                        Role = "Media Services Media Operator"
	MediaPolicyAdministrator             Role = "Media Services Policy Administrator"
	MediaStreamingEndpointsAdministrator Role = "Media Services Streaming Endpoints Administrator"
)

// grant is what a role allows: actions, with * for any run of characters,
// less some of them. (Azure's actions and notActions.)
type grant struct {
	actions, except []string
}

const media = "Microsoft.Media/mediaservices/"

// grantOf follows the definitions of Azure's built-in roles, less what is
// outside of media services and the resources around it.
func grantOf(r Role) (grant, bool) {
	// The three media roles that may handle keys' owners but not the keys.
	noKeys := []string{media + "assets/getEncryptionKey/action", media + "streamingLocators/listContentKeys/action"}
	look := []string{media + "*/read", media + "read",
		media + "assets/listStreamingLocators/action", media + "streamingLocators/listPaths/action"}
	switch r {
	case Owner:
		return grant{actions: []string{"*"}}, true
	case Contributor:
		return grant{actions: []string{"*"}, except: []string{
			"Microsoft.Authorization/*/delete", "Microsoft.Authorization/*/write",
			"Microsoft.Authorization/elevateAccess/action"}}, true
	case Reader:
		return grant{actions: []string{"*/read"}}, true
	case MediaAccountAdministrator:
		return grant{actions: append(look, media+"write", media+"delete",
			media+"privateEndpointConnectionsApproval/action", media+"privateEndpointConnections/*")}, true
	case MediaLiveEventsAdministrator:
		return grant{actions: append(look, media+"assets/*", media+"streamingLocators/*", media+"liveEvents/*"),
			except: noKeys}, true
	case MediaOperator:
		return grant{actions: append(look, media+"assets/*", media+"streamingLocators/*", media+"transforms/jobs/*"),
			except: noKeys}, true
	case MediaPolicyAdministrator:
		return grant{actions: append(look, media+"accountFilters/*", media+"streamingPolicies/*",
			media+"contentKeyPolicies/*", media+"transforms/*"),
			except: []string{media + "contentKeyPolicies/getPolicyPropertiesWithSecrets/action"}}, true
	case MediaStreamingEndpointsAdministrator:
		return grant{actions: append(look, media+"streamingEndpoints/*")}, true
	}
	return grant{}, false
}

// Allows reports whether r allows an action such as
// "Microsoft.Media/mediaservices/assets/read".
func (r Role) Allows(action string) bool {
	g, ok := grantOf(r)
	if !ok {
		return false
	}
	action = strings.ToLower(action)
	for _, e := range g.except {
		if match(strings.ToLower(e), action) {
			return false
		}
	}
	for _, a := range g.actions {
		if match(strings.ToLower(a), action) {
			return true
		}
	}
	return false
}

// Valid reports whether r is a role that openams knows.
func (r Role) Valid() bool {
	_, ok := grantOf(r)
	return ok
}

// match reports whether s is pattern, in which at most one * stands for any
// run of characters, as in every built-in role.
func match(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}
