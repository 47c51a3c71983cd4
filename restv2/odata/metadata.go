package odata

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// serviceDocument lists the entity sets that are served.
func (s *Server) serviceDocument(c *call) *response {
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", versionOf(c.format))
	switch {
	case c.format == atom:
		w := new(xmlWriter)
		w.WriteString(xmlHead)
		w.open("service", "xml:base", c.root, "xmlns", nsApp, "xmlns:atom", nsAtom)
		w.open("workspace")
		w.leaf("atom:title", "Default")
		for _, set := range s.model.Sets {
			w.open("collection", "href", set.Name)
			w.leaf("atom:title", set.Name)
			w.close("collection")
		}
		w.close("workspace")
		w.close("service")
		resp.set("application/xml;charset=utf-8", w.Bytes())
	case c.format == verbose:
		resp.set(formatTypes[verbose], d(func(w *jsonWriter) {
			w.open('{')
			w.name("EntitySets")
			w.open('[')
			for _, set := range s.model.Sets {
				w.text(set.Name)
			}
			w.close(']')
			w.close('}')
		}))
	default:
		w := new(jsonWriter)
		w.open('{')
		if c.format != none {
			w.pair("odata.metadata", c.root+"$metadata")
		}
		w.name("value")
		w.open('[')
		for _, set := range s.model.Sets {
			w.open('{')
			w.pair("name", set.Name)
			w.pair("url", set.Name)
			w.close('}')
		}
		w.close(']')
		w.close('}')
		resp.set(formatTypes[c.format], w.Bytes())
	}
	return resp
}

// metadata describes what is served, as EDMX.
func (s *Server) metadata(*call) *response {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	w.open("edmx:Edmx", "Version", "1.0", "xmlns:edmx", "http://schemas.microsoft.com/ado/2007/06/edmx")
	w.open("edmx:DataServices", "m:DataServiceVersion", "3.0", "m:MaxDataServiceVersion", "3.0", "xmlns:m", nsMeta)
	w.open("Schema", "Namespace", s.model.Namespace, "xmlns", "http://schemas.microsoft.com/ado/2009/11/edm")
	for _, set := range s.model.Sets {
		w.open("EntityType", "Name", set.Type)
		w.open("Key")
		w.empty("PropertyRef", "Name", set.key.Name)
		w.close("Key")
		s.edmProperties(w, set.Properties)
		for _, nav := range set.Navigation {
			w.empty("NavigationProperty", "Name", nav.Name, "Relationship", s.model.Namespace+"."+association(set, nav),
				"ToRole", nav.Name, "FromRole", set.Type+"_"+nav.Name)
		}
		w.close("EntityType")
	}
	for _, t := range s.model.Types {
		w.open("ComplexType", "Name", t.Name)
		s.edmProperties(w, t.Properties)
		w.close("ComplexType")
	}
	for _, set := range s.model.Sets {
		for _, nav := range set.Navigation {
			w.open("Association", "Name", association(set, nav))
			w.empty("End", "Type", s.model.Namespace+"."+s.model.sets[nav.Set].Type, "Role", nav.Name, "Multiplicity", multiplicity(nav))
			w.empty("End", "Type", s.model.Namespace+"."+set.Type, "Role", set.Type+"_"+nav.Name, "Multiplicity", "*")
			w.close("Association")
		}
	}
	w.open("EntityContainer", "Name", s.model.Container, "m:IsDefaultEntityContainer", "true")
	for _, set := range s.model.Sets {
		w.empty("EntitySet", "Name", set.Name, "EntityType", s.model.Namespace+"."+set.Type)
	}
	for _, f := range s.model.Functions {
		s.edmFunction(w, f)
	}
	for _, set := range s.model.Sets {
		for _, nav := range set.Navigation {
			w.open("AssociationSet", "Name", association(set, nav), "Association", s.model.Namespace+"."+association(set, nav))
			w.empty("End", "Role", set.Type+"_"+nav.Name, "EntitySet", set.Name)
			w.empty("End", "Role", nav.Name, "EntitySet", nav.Set)
			w.close("AssociationSet")
		}
	}
	w.close("EntityContainer")
	w.close("Schema")
	w.close("edmx:DataServices")
	w.close("edmx:Edmx")
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", "3.0;")
	resp.set("application/xml;charset=utf-8", w.Bytes())
	return resp
}

func association(set *EntitySet, nav *Navigation) string { return set.Type + "_" + nav.Name }

func multiplicity(nav *Navigation) string {
	switch {
	case nav.Many:
		return "*"
	case nav.Required:
		return "1"
	}
	return "0..1"
}

func (s *Server) edmProperties(w *xmlWriter, props []*Property) {
	for _, p := range props {
		attributes := []string{"Name", p.Name, "Type", s.model.wire(p.Type)}
		if !p.Nullable {
			attributes = append(attributes, "Nullable", "false")
		}
		if p.Max > 0 {
			attributes = append(attributes, "MaxLength", strconv.Itoa(p.Max))
		}
		w.empty("Property", attributes...)
	}
}

func (s *Server) edmFunction(w *xmlWriter, f *Function) {
	attributes := []string{"Name", f.Name}
	if f.Returns != "" {
		attributes = append(attributes, "ReturnType", s.model.wire(f.Returns))
	}
	if f.Set != "" {
		attributes = append(attributes, "IsBindable", "true", "m:IsAlwaysBindable", "false")
	} else {
		attributes = append(attributes, "m:HttpMethod", f.Method)
	}
	w.open("FunctionImport", attributes...)
	if f.Set != "" {
		w.empty("Parameter", "Name", "bindingParameter", "Type", s.model.Namespace+"."+s.model.sets[f.Set].Type)
	}
	for _, p := range f.Parameters {
		attributes := []string{"Name", p.Name, "Type", s.model.wire(p.Type)}
		if strings.HasPrefix(p.Type, "Edm.") {
			attributes = append(attributes, "Nullable", "true")
		}
		w.empty("Parameter", attributes...)
	}
	w.close("FunctionImport")
}
