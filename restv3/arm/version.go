package arm

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Versions returns the api-versions of Microsoft.Media that clients in use
// send, oldest first. Each is accepted for every resource type.
func Versions() []string {
	return []string{
		"2018-03-30-preview", "2018-06-01-preview", "2018-07-01", "2019-05-01-preview",
		"2020-05-01", "2021-05-01", "2021-06-01", "2021-11-01", "2022-05-01-preview",
		"2022-07-01", "2022-08-01", "2022-11-01", "2023-01-01",
	}
}

// Query returns the query parameter name, whose spelling has no case: the
// first of several, and nothing if there is none.
func Query(r *http.Request, name string) string {
	// A parameter that cannot be decoded was not sent; the others were.
	values, _ := url.ParseQuery(r.URL.RawQuery)
	if v, ok := values[name]; ok {
		return v[0]
	}
	for k, v := range values {
		if strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// Version returns the api-version that r asks for, in lower case. Behind a
// Router it is a valid one.
func Version(r *http.Request) string {
	return strings.ToLower(Query(r, "api-version"))
}

// AtLeast reports whether version is since or newer. A preview counts as its
// date.
func AtLeast(version, since string) bool { return version >= since }

var wellFormed = regexp.MustCompile(`^\d{4}-\d\d-\d\d(-[a-z]{1,20})?$`)

// checkVersion refuses a request without an api-version that the resource type
// is known for. No versions: any that is well-formed will do, as for the
// resources of other providers.
func checkVersion(r *http.Request, typ, location string, versions []string) error {
	v := Version(r)
	switch {
	case v == "":
		return Errorf(http.StatusBadRequest, "MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.")
	case !wellFormed.MatchString(v):
		if len(versions) == 0 {
			return Errorf(http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version '%s' is invalid.", clip(v))
		}
		return Errorf(http.StatusBadRequest, "InvalidApiVersionParameter",
			"The api-version '%s' is invalid. The supported versions are '%s'.", clip(v), newestFirst(versions))
	case len(versions) > 0 && !slices.Contains(versions, v):
		return Errorf(http.StatusBadRequest, "NoRegisteredProviderFound",
			"No registered resource provider found for location '%s' and API version '%s' for type '%s'. The supported api-versions are '%s'. The supported locations are '%s'.",
			location, v, typ, strings.Join(versions, ", "), location)
	}
	return nil
}

func newestFirst(versions []string) string {
	v := slices.Clone(versions)
	slices.Reverse(v)
	return strings.Join(v, ",")
}
