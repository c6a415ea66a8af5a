"""What the pages say, in English and Spanish."""

from collections.abc import Mapping

Texts = Mapping[str, str]

_TEXTS: Mapping[str, tuple[str, str]] = {
    "sign in": ("Sign in", "Iniciar sesión"),
    "to give access": ("to give {app} access", "para dar acceso a {app}"),
    "username": ("Username", "Usuario"),
    "password": ("Password", "Contraseña"),
    "cancel": ("Cancel", "Cancelar"),
    "wrong": ("Username or password is wrong.", "El usuario o la contraseña no son correctos."),
    "too many": ("Too many attempts. Try again later.", "Demasiados intentos. Inténtelo más tarde."),
    "expired": (
        "That took too long. Try again.",
        "Ha pasado demasiado tiempo. Inténtelo otra vez.",
    ),
    "choose patient": ("Which patient?", "¿Qué paciente?"),
    "choose text": ("{app} is about one patient.", "{app} trata de un solo paciente."),
    "search": ("Search", "Buscar"),
    "name": ("Name or identifier", "Nombre o identificador"),
    "birthdate": ("Date of birth (if known)", "Fecha de nacimiento (si se conoce)"),
    "none found": ("No patient was found.", "No se ha encontrado ningún paciente."),
    "choose": ("Choose", "Elegir"),
    "more": ("There are more; write more of the name.", "Hay más; escriba más del nombre."),
    "born": ("born {date}", "nacido/a el {date}"),
    "no name": ("without a name", "sin nombre"),
    "consent": ("Give {app} access?", "¿Dar acceso a {app}?"),
    "signed in": ("Signed in as {user}", "Sesión de {user}"),
    "sign out": ("Not you?", "¿No es usted?"),
    "asks": ("{app} asks to be allowed:", "{app} pide permiso para:"),
    "fewer": ("Uncheck what you don't want to allow.", "Desmarque lo que no quiera permitir."),
    "goes to": ("Afterwards you go on to {host}.", "Después continuará en {host}."),
    "patient": ("Patient", "Paciente"),
    "allow": ("Allow", "Permitir"),
    "deny": ("Don't allow", "No permitir"),
    "problem": ("This does not work", "Esto no funciona"),
    "problem text": (
        "The app sent you here with a request that can't be answered. Tell who runs it:",
        "La aplicación le ha enviado aquí con una petición que no se puede atender. Comuníqueselo a quien la gestiona:",
    ),
    "openid": ("Know who you are", "Saber quién es usted"),
    "fhirUser": ("Know who you are", "Saber quién es usted"),
    "profile": ("Know your name", "Saber su nombre"),
    "offline_access": ("Have access also while you are away", "Tener acceso también cuando usted no esté"),
    "online_access": ("Have access for as long as you are signed in", "Tener acceso mientras dure su sesión"),
    "c": ("add", "añadir"),
    "rs": ("see", "ver"),
    "u": ("change", "cambiar"),
    "d": ("delete", "borrar"),
    "and": ("and", "y"),
    "only": ("only those with {query}", "solo los que tienen {query}"),
    "of the patient": ("of this patient", "de este paciente"),
    "of all": ("of everybody whom you may see", "de todas las personas que usted puede ver"),
    "all data": ("all data", "todos los datos"),
    "apps": ("Apps with access", "Aplicaciones con acceso"),
}

_TYPES: Mapping[str, tuple[str, str]] = {
    "AllergyIntolerance": ("allergies", "alergias"),
    "Appointment": ("appointments", "citas"),
    "CarePlan": ("care plans", "planes de cuidados"),
    "CareTeam": ("care teams", "equipos de atención"),
    "Condition": ("diagnoses and problems", "diagnósticos y problemas"),
    "Consent": ("consents", "consentimientos"),
    "Coverage": ("insurance", "seguros"),
    "Device": ("devices", "dispositivos"),
    "DiagnosticReport": ("reports of examinations", "informes de pruebas"),
    "DocumentReference": ("documents", "documentos"),
    "Encounter": ("visits and stays", "visitas e ingresos"),
    "Goal": ("goals", "objetivos"),
    "Immunization": ("vaccinations", "vacunas"),
    "Location": ("places", "lugares"),
    "Medication": ("medications", "medicamentos"),
    "MedicationDispense": ("dispensed medications", "medicamentos dispensados"),
    "MedicationRequest": ("prescriptions", "recetas"),
    "MedicationStatement": ("medications that are taken", "medicamentos que se toman"),
    "Observation": ("measurements and laboratory results", "mediciones y resultados de laboratorio"),
    "Organization": ("organizations", "organizaciones"),
    "Patient": ("personal data", "datos personales"),
    "Practitioner": ("practitioners", "profesionales"),
    "Procedure": ("procedures", "procedimientos"),
    "QuestionnaireResponse": ("answers to questionnaires", "respuestas a cuestionarios"),
    "ServiceRequest": ("orders", "solicitudes"),
}
"""Types of resources in plain words; others are called as R4 calls them."""


def texts_for(accept_language: str | None) -> tuple[str, Texts]:
    """The language that somebody prefers of those that there are, and its texts."""
    language = _preferred(accept_language or "")
    column = 1 if language == "es" else 0
    words = {**_TEXTS, **{f"type {name}": both for name, both in _TYPES.items()}}
    return language, {key: both[column] for key, both in words.items()}


def _preferred(accept_language: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4"""
    best, best_quality = "en", 0.0
    for item in accept_language[:1000].split(","):
        language, _, quality = item.strip().lower().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if language.partition("-")[0] in ("en", "es") and weight > best_quality:
            best, best_quality = language.partition("-")[0], weight
    return best
