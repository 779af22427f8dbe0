// Checks the packages that `dotnet pack` made of every project under src against what the sources say:
//   dotnet run --file .ci/package.cs -- ROOT PACKAGES SECOND-BUILD
// Prints every fault. SECOND-BUILD holds the same packages built in another place.
using System.IO.Compression;
using System.Xml.Linq;

if (args is not [var root, var folder, var secondFolder])
{
    Console.Error.WriteLine("package: expected ROOT PACKAGES SECOND-BUILD");
    return 64;
}

const string Framework = "net10.0";
var faults = new List<string>();
var versions = CentralVersions(Path.Combine(root, "Directory.Packages.props"));
var projects = Directory.GetFiles(Path.Combine(root, "src"), "*.csproj", SearchOption.AllDirectories);

foreach (var project in projects.Order(StringComparer.Ordinal))
{
    var name = Path.GetFileNameWithoutExtension(project);
    var faultsBefore = faults.Count;
    using var package = Open(folder, name, ".nupkg");
    using var symbols = Open(folder, name, ".snupkg");
    using var second = Open(secondFolder, name, ".nupkg");
    if (package is null || symbols is null || second is null)
    {
        continue;
    }

    var library = $"lib/{Framework}/{name}.dll";
    var documentation = $"lib/{Framework}/{name}.xml";
    Expect(name, "files under lib", [library, documentation], package.Entries.Select(entry => entry.FullName).Where(path => path.StartsWith("lib/", StringComparison.Ordinal)));
    Expect(name, "files under lib of the symbol package", [$"lib/{Framework}/{name}.pdb"], symbols.Entries.Select(entry => entry.FullName).Where(path => path.StartsWith("lib/", StringComparison.Ordinal)));
    if (!Read(package, "README.md").AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(root, "README.md"))))
    {
        faults.Add($"{name}: README.md is missing or not the repository's");
    }

    // Completion in appsettings: the schema at the root, and what tells editors of it, in the folder that reaches every consumer.
    var schema = Path.Combine(Path.GetDirectoryName(project)!, "ConfigurationSchema.json");
    if (File.Exists(schema))
    {
        var targets = $"buildTransitive/{name}.targets";
        foreach (var path in new[] { "ConfigurationSchema.json", targets })
        {
            var source = File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(project)!, path));
            if (!Read(package, path).AsSpan().SequenceEqual(source))
            {
                faults.Add($"{name}: {path} is missing or not the project's");
            }
        }

        var segments = Read(package, targets) is { Length: > 0 } content
            ? XDocument.Load(new MemoryStream(content)).Descendants("JsonSchemaSegment").Select(segment => (string?)segment.Attribute("Include") ?? "none")
            : [];
        Expect(name, $"JsonSchemaSegment items in {targets}", ["$(MSBuildThisFileDirectory)../ConfigurationSchema.json"], segments);
    }

    if (Read(package, documentation) is { Length: > 0 } xml && !XDocument.Load(new MemoryStream(xml)).Descendants("member").Any())
    {
        faults.Add($"{name}: {documentation} documents nothing");
    }

    var metadata = Metadata(package, name);
    ExpectValue(name, "license expression", "MIT", Element(metadata, "license")?.Value);
    ExpectValue(name, "license type", "expression", (string?)Element(metadata, "license")?.Attribute("type"));
    ExpectValue(name, "readme", "README.md", Element(metadata, "readme")?.Value);
    foreach (var required in new[] { "description", "authors", "tags", "copyright" })
    {
        if (string.IsNullOrWhiteSpace(Element(metadata, required)?.Value))
        {
            faults.Add($"{name}: the nuspec has no {required}");
        }
    }

    // Neither more (a pinned transitive package or an analyzer leaked) nor less, and in the central version.
    var groups = Element(metadata, "dependencies")?.Elements().ToArray() ?? [];
    Expect(name, "dependency groups", [Framework], groups.Select(group => (string?)group.Attribute("targetFramework") ?? "none"));
    var ownVersion = Element(metadata, "version")?.Value ?? "none";
    Expect(
        name,
        "dependencies",
        References(project, ownVersion),
        metadata.Descendants().Where(element => element.Name.LocalName == "dependency").Select(element => $"{(string?)element.Attribute("id")} {(string?)element.Attribute("version")}"));

    Expect(
        name,
        "framework references",
        XDocument.Load(project).Descendants("FrameworkReference").Select(reference => (string)reference.Attribute("Include")!),
        metadata.Descendants().Where(element => element.Name.LocalName == "frameworkReference").Select(element => (string?)element.Attribute("name") ?? "none"));

    if (!Read(package, library).AsSpan().SequenceEqual(Read(second, library)))
    {
        faults.Add($"{name}: {library} differs between two builds of the same sources");
    }

    if (faults.Count == faultsBefore)
    {
        Console.WriteLine($"package {name} {ownVersion}: ok, {package.Entries.Count} entries, reproducible");
    }
}

if (projects.Length == 0)
{
    faults.Add("no project under src");
}

foreach (var fault in faults)
{
    Console.Error.WriteLine(fault);
}

return faults.Count == 0 ? 0 : 1;

ZipArchive? Open(string where, string name, string extension)
{
    // Name.Version.nupkg: the digit keeps PooledTcp from finding PooledTcp.AspNetCore.
    var found = (Directory.Exists(where) ? Directory.GetFiles(where, $"{name}.*{extension}") : [])
        .Where(path => char.IsAsciiDigit(Path.GetFileName(path)[name.Length + 1]))
        .ToArray();
    if (found.Length == 1)
    {
        return ZipFile.OpenRead(found[0]);
    }

    faults.Add($"{name}: {found.Length} files {name}.VERSION{extension} in {where}, expected 1");
    return null;
}

byte[] Read(ZipArchive archive, string path)
{
    if (archive.GetEntry(path) is not { } entry)
    {
        return [];
    }

    using var content = entry.Open();
    using var copy = new MemoryStream();
    content.CopyTo(copy);
    return copy.ToArray();
}

XElement Metadata(ZipArchive archive, string name) =>
    XDocument.Load(new MemoryStream(Read(archive, $"{name}.nuspec"))).Root!.Elements().Single();

static XElement? Element(XElement parent, string name) =>
    parent.Elements().FirstOrDefault(element => element.Name.LocalName == name);

void Expect(string name, string what, IEnumerable<string> expected, IEnumerable<string> actual)
{
    string[] wanted = [.. expected.Order(StringComparer.Ordinal)], found = [.. actual.Order(StringComparer.Ordinal)];
    if (!wanted.AsSpan().SequenceEqual(found))
    {
        faults.Add($"{name}: {what}: missing [{string.Join(", ", wanted.Except(found))}], unexpected [{string.Join(", ", found.Except(wanted))}]");
    }
}

void ExpectValue(string name, string what, string expected, string? actual)
{
    if (actual != expected)
    {
        faults.Add($"{name}: {what} is '{actual}', expected '{expected}'");
    }
}

static Dictionary<string, string> CentralVersions(string path)
{
    var document = XDocument.Load(path);
    var properties = document.Descendants("PropertyGroup").Elements()
        .ToDictionary(property => $"$({property.Name.LocalName})", property => property.Value);
    return document.Descendants("PackageVersion").ToDictionary(
        version => (string)version.Attribute("Include")!,
        version => properties.GetValueOrDefault((string)version.Attribute("Version")!, (string)version.Attribute("Version")!));
}

IEnumerable<string> References(string project, string ownVersion)
{
    var document = XDocument.Load(project);
    foreach (var reference in document.Descendants("PackageReference").Where(element => (string?)element.Attribute("PrivateAssets") != "all"))
    {
        var id = (string)reference.Attribute("Include")!;
        yield return $"{id} {versions.GetValueOrDefault(id, "without a central version")}";
    }

    foreach (var reference in document.Descendants("ProjectReference"))
    {
        yield return $"{Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!)} {ownVersion}";
    }
}
