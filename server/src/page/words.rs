//! Everything the person's page says, in both languages side by side. `{name}` is filled in by
//! [`fill`]; a test holds the two languages to the same names.

use crate::orders::person::Language;

macro_rules! words {
    ($($name:ident: $english:literal, $german:literal;)*) => {
        /// The words of one language.
        #[derive(Debug)]
        pub(super) struct Words {
            $(pub(super) $name: &'static str,)*
        }

        static ENGLISH: Words = Words { $($name: $english,)* };
        static GERMAN: Words = Words { $($name: $german,)* };

        /// Name, English, German.
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $german),)*];
    };
}

/// The words of a language.
pub(super) const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

/// Puts values in the places that are named for them.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, named)) = rest.split_once('{')
        && let Some((name, after)) = named.split_once('}')
    {
        filled.push_str(before);
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |pair| pair.1));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

words! {
    lang: "en", "de";
    title: "Your orders", "Ihre Bestellungen";
    promise: "Nothing is bought unless you say so.", "Ohne Ihr Ja wird nichts gekauft.";
    skip: "Skip to your orders", "Zu Ihren Bestellungen";
    to_settings: "Settings", "Einstellungen";
    news: "Something changed. Show it", "Es hat sich etwas geändert. Anzeigen";
    offline: "No connection. Try again: it counts once only.", "Keine Verbindung. Versuchen Sie es noch einmal, es zählt nur einmal.";

    waiting: "Waiting for your answer", "Warten auf Ihre Antwort";
    under_way: "Under way", "Unterwegs";
    nothing_waits: "Nothing waits for you.", "Nichts wartet auf Sie.";
    nothing_waits_hint: "When something you usually buy is likely to run out, it is proposed here.", "Wenn etwas bald zur Neige geht, das Sie sonst kaufen, wird es hier vorgeschlagen.";
    total: "Together", "Zusammen";
    extra: "Delivery, fees and discounts", "Lieferung, Gebühren, Rabatte";
    why: "Why we ask", "Warum wir fragen";
    sure: "{percent} % sure that you need it", "Zu {percent} % sicher, dass Sie es brauchen";
    each: "{price} each", "je {price}";

    approve: "Order it", "Bestellen";
    week: "In a week", "In einer Woche";
    cancel: "No, thank you", "Nein, danke";
    undo: "Take it back", "Zurücknehmen";
    change: "Change how much or when", "Menge oder Tag ändern";
    pieces: "How many: {title}", "Wie viele: {title}";
    modify: "Ask for this instead", "Lieber so anfragen";
    none_hint: "0 takes it off.", "0 lässt es weg.";
    day: "Ask me again on", "Wieder fragen am";
    delay: "Later", "Später";

    waits: "Waits until {until}, then ends by itself.", "Wartet bis {until}, dann endet es von selbst.";
    approved: "You said yes. It is ordered on {begins}; until then you can take it back.", "Sie haben zugesagt. Bestellt wird am {begins}; bis dahin können Sie es zurücknehmen.";
    delayed: "Put off. We ask again by {until}.", "Aufgeschoben. Wir fragen wieder, spätestens am {until}.";
    fulfilling: "You said yes. The shop is taking the order.", "Sie haben zugesagt. Das Geschäft nimmt die Bestellung an.";

    changed_modified: "Changed as you wished. Please look and answer.", "Nach Ihrem Wunsch geändert. Bitte ansehen und antworten.";
    changed_dearer: "The shop now wants more than you had seen. Nothing was bought.", "Das Geschäft verlangt jetzt mehr, als Sie gesehen hatten. Es wurde nichts gekauft.";
    changed_stock: "Not all of it can be had. This is what there is.", "Nicht alles ist zu haben. Das ist, was es gibt.";
    changed_returned: "You wanted to be asked again today.", "Sie wollten heute wieder gefragt werden.";

    said_approved: "Thank you. It is ordered, and you can take it back for a while.", "Danke. Es wird bestellt, und eine Weile können Sie es zurücknehmen.";
    said_modified: "It has changed. Nothing is bought: please look and answer.", "Es hat sich geändert. Nichts wird gekauft: bitte ansehen und antworten.";
    said_delayed: "Put off. We will ask again.", "Aufgeschoben. Wir fragen wieder.";
    said_cancelled: "Cancelled. Nothing is bought.", "Abgesagt. Es wird nichts gekauft.";
    said_other: "This was answered: see where it stands.", "Das ist beantwortet: hier steht der Stand.";
    said_wait: "This waits for your answer.", "Das wartet auf Ihre Antwort.";

    refused_ended: "This had already ended on {at}, {by}: {how}", "Das war schon beendet, am {at}, {by}: {how}";
    refused_answered: "This was already answered on {at}, {by}. {how}", "Das war schon beantwortet, am {at}, {by}. {how}";
    refused_superseded: "This changed since you saw it. It now comes to {total}: please look and answer that.", "Das hat sich geändert, seit Sie es sahen. Jetzt macht es {total}: bitte ansehen und darauf antworten.";
    refused_handed: "The shop may have this order by now. We will not ask the shop again; to be safe, cancel it there.", "Das Geschäft hat die Bestellung vielleicht schon. Wir fragen dort nicht noch einmal; sagen Sie sicherheitshalber dort ab.";
    refused_limit_order: "This is {over} more than your limit of {limit} an order. Take something off, or raise the limit.", "Das sind {over} mehr als Ihre Grenze von {limit} je Bestellung. Nehmen Sie etwas heraus, oder heben Sie die Grenze an.";
    refused_limit_day: "This is {over} more than your limit of {limit} a day; {spent} of it is used. Take something off, or raise the limit.", "Das sind {over} mehr als Ihre Grenze von {limit} am Tag; {spent} davon sind verbraucht. Nehmen Sie etwas heraus, oder heben Sie die Grenze an.";
    refused_limit_week: "This is {over} more than your limit of {limit} a week; {spent} of it is used. Take something off, or raise the limit.", "Das sind {over} mehr als Ihre Grenze von {limit} in der Woche; {spent} davon sind verbraucht. Nehmen Sie etwas heraus, oder heben Sie die Grenze an.";
    refused_limit_month: "This is {over} more than your limit of {limit} a month; {spent} of it is used. Take something off, or raise the limit.", "Das sind {over} mehr als Ihre Grenze von {limit} im Monat; {spent} davon sind verbraucht. Nehmen Sie etwas heraus, oder heben Sie die Grenze an.";
    refused_currency: "Your limits are in {limit}, this order is in {order}. Set a limit in {order} first.", "Ihre Grenzen sind in {limit}, diese Bestellung ist in {order}. Setzen Sie zuerst eine Grenze in {order}.";
    refused_substituted: "The shop offers something else instead, which you did not ask for. Nothing was changed: please try again later.", "Das Geschäft bietet stattdessen etwas an, das Sie nicht wollten. Es wurde nichts geändert: bitte versuchen Sie es später.";
    refused_stock: "None of this can be had now. The order stays as it was: choose something else, or say no.", "Davon ist gerade nichts zu haben. Die Bestellung bleibt, wie sie war: wählen Sie anders, oder sagen Sie ab.";
    refused_quote: "The shop gave no price that can be used. The order stays as it was: please try again later.", "Das Geschäft nannte keinen brauchbaren Preis. Die Bestellung bleibt, wie sie war: bitte versuchen Sie es später.";
    refused_quotes: "This changed {count} times, which is all it may. Answer it as it is, or order at the shop.", "Das wurde {count} Mal geändert, öfter geht es nicht. Antworten Sie, wie es ist, oder bestellen Sie im Geschäft.";
    refused_date: "It can be put off to {most} at the latest. Please choose a day before that, and after today.", "Aufschieben geht höchstens bis {most}. Bitte wählen Sie einen Tag davor, und nach heute.";
    refused_not_yours: "This is not yours to do.", "Das können nicht Sie tun.";
    refused_turn: "This is not possible as the order stands now. Please look at it.", "So, wie die Bestellung steht, geht das nicht. Bitte sehen Sie nach.";
    refused_text: "Something in it is empty or too long. Please shorten it.", "Etwas darin ist leer oder zu lang. Bitte kürzen Sie es.";

    after_asking: "It waits for your answer.", "Es wartet auf Ihre Antwort.";
    after_approved: "You can still take it back.", "Sie können es noch zurücknehmen.";
    after_delayed: "It asks again on its day.", "An seinem Tag fragt es wieder.";
    after_fulfilling: "It is with the shop.", "Das Geschäft hat es.";
    after_fulfilled: "It was bought once. To send it back, turn to the shop.", "Es wurde einmal gekauft. Zum Zurückgeben wenden Sie sich an das Geschäft.";
    after_failed: "The shop did not confirm it. Look there before you order it again.", "Das Geschäft hat es nicht bestätigt. Sehen Sie dort nach, bevor Sie neu bestellen.";
    after_cancelled: "Nothing was bought. Order at the shop if you need it after all.", "Es wurde nichts gekauft. Bestellen Sie im Geschäft, wenn Sie es doch brauchen.";
    after_expired: "The time was over, and nothing was bought. Order at the shop if you still need it.", "Die Zeit war um, und nichts wurde gekauft. Bestellen Sie im Geschäft, wenn Sie es noch brauchen.";

    by_page: "on this page", "auf dieser Seite";
    by_email: "from an e-mail", "aus einer E-Mail";
    by_sms: "from a text message", "aus einer SMS";
    by_app: "in the app", "in der App";
    by_timer: "because its time had come", "weil es Zeit war";
    by_operator: "by the operator", "durch den Betreiber";
    by_shop: "by the shop", "durch das Geschäft";

    suggestions: "May be needed soon", "Vielleicht bald nötig";
    suggestions_hint: "Nothing of this is ordered, and you need not answer.", "Nichts davon wird bestellt, und Sie müssen nicht antworten.";
    window: "Probably in {from} to {to} days", "Wohl in {from} bis {to} Tagen";
    held_unsure: "Not asked: {percent} % sure is too little for you.", "Nicht gefragt: {percent} % Sicherheit sind für Sie zu wenig.";
    held_early: "Not asked: it is too early.", "Nicht gefragt: es ist noch zu früh.";
    held_level: "Not asked: the forecasts are not good enough yet.", "Nicht gefragt: die Vorhersagen sind noch nicht gut genug.";
    held_wishes: "Not asked: you do not want to be asked.", "Nicht gefragt: Sie möchten nicht gefragt werden.";
    held_asked: "Not asked: you were asked for something of the kind not long ago.", "Nicht gefragt: nach Ähnlichem wurden Sie vor Kurzem gefragt.";
    held_lot: "Not asked this time: now and then a lot says so, to learn what people buy without being asked.", "Diesmal nicht gefragt: ab und zu entscheidet das Los so, um zu lernen, was Menschen ungefragt kaufen.";
    held_shop: "Not asked: the shop has none, or gave no price.", "Nicht gefragt: das Geschäft hat nichts davon oder nannte keinen Preis.";

    past: "Before", "Bisher";
    past_none: "What was bought or ended will stand here.", "Was gekauft wurde oder endete, steht später hier.";
    older: "Show older ones", "Ältere anzeigen";
    newest: "Back to the newest", "Zurück zu den neuesten";
    end_fulfilled: "Bought", "Gekauft";
    end_fulfilled_reference: "The shop's number: {reference}", "Nummer des Geschäfts: {reference}";
    end_person: "You said no", "Von Ihnen abgesagt";
    end_undone: "You took it back", "Von Ihnen zurückgenommen";
    end_operator: "Ended by the operator", "Vom Betreiber beendet";
    end_stock: "Not to be had", "Nicht zu haben";
    end_consent: "Ended: you no longer want to be asked", "Beendet: Sie möchten nicht mehr gefragt werden";
    end_paused: "Ended by your pause", "Durch Ihre Pause beendet";
    end_erased: "Ended", "Beendet";
    end_declined: "The shop said no", "Vom Geschäft abgelehnt";
    end_gave_up: "The shop did not answer", "Das Geschäft antwortete nicht";
    end_too_late: "It took too long, so it was not bought", "Es dauerte zu lange und wurde nicht gekauft";
    end_stopped: "Stopped", "Angehalten";
    end_unknown: "The shop may have it all the same: look there.", "Das Geschäft hat sie vielleicht trotzdem: sehen Sie dort nach.";
    end_expired: "No answer in time, nothing bought", "Keine Antwort, nichts gekauft";

    settings: "Settings", "Einstellungen";
    saved: "Saved.", "Gespeichert.";
    save: "Save", "Speichern";
    asked: "Being asked", "Gefragt werden";
    asked_yes: "You agreed on {since}", "Sie stimmten am {since} zu";
    asked_paused: "Paused", "Pausiert";
    asked_no: "You are not asked", "Sie werden nicht gefragt";
    invite: "Shall we ask you when something is likely to run out?", "Sollen wir fragen, wenn etwas bald zur Neige geht?";
    invite_text: "We look at what you usually buy and propose an order in time. You answer with one tap. Without your yes nothing is bought, and you can stop at any time.", "Wir sehen, was Sie sonst kaufen, und schlagen rechtzeitig eine Bestellung vor. Sie antworten mit einem Tippen. Ohne Ihr Ja wird nichts gekauft, und Sie können jederzeit aufhören.";
    agree: "Yes, ask me", "Ja, fragen Sie mich";
    stop: "Stop asking me", "Nicht mehr fragen";
    stop_hint: "What waits now ends, and nothing of it is bought.", "Was jetzt wartet, endet, und nichts davon wird gekauft.";
    pause: "Pause everything", "Alles pausieren";
    resume: "Go on asking me", "Wieder fragen";
    paused_text: "Everything is paused: we ask for nothing, and nothing is bought.", "Alles ist pausiert: wir fragen nach nichts, und nichts wird gekauft.";

    reach: "How we reach you", "Wie wir Sie erreichen";
    reach_page: "Only on this page and in the app", "Nur auf dieser Seite und in der App";
    reach_email: "By e-mail", "Per E-Mail";
    reach_sms: "By text message", "Per SMS";
    email: "E-mail address", "E-Mail-Adresse";
    phone: "Phone number, as +49 …", "Telefonnummer, etwa +49 …";
    language: "Language and time zone", "Sprache und Zeitzone";
    language_name: "English", "Deutsch";
    language_label: "Language", "Sprache";
    zone: "Time zone, such as Europe/Berlin", "Zeitzone, etwa Europe/Berlin";

    limits: "Limits", "Grenzen";
    limits_hint: "What approved orders may come to at most. Empty means no limit.", "Was zugesagte Bestellungen höchstens kosten dürfen. Leer heißt: keine Grenze.";
    limits_none: "None", "Keine";
    limit_order: "An order, {currency}", "Je Bestellung, {currency}";
    limit_day: "A day, {currency}", "Am Tag, {currency}";
    limit_week: "A week, {currency}", "In der Woche, {currency}";
    limit_month: "A month, {currency}", "Im Monat, {currency}";
    limit_short_order: "{money} an order", "{money} je Bestellung";
    limit_short_day: "{money} a day", "{money} am Tag";
    limit_short_week: "{money} a week", "{money} in der Woche";
    limit_short_month: "{money} a month", "{money} im Monat";

    feel: "How often we ask", "Wie oft wir fragen";
    feel_eager: "Rather once too often", "Lieber einmal zu viel";
    feel_balanced: "Balanced", "Ausgewogen";
    feel_careful: "Only when quite sure", "Nur wenn ziemlich sicher";
    habit_unknown: "You have not answered yet, so we ask when we are {percent} % sure.", "Sie haben noch nicht geantwortet, darum fragen wir, wenn wir zu {percent} % sicher sind.";
    habit_cancels: "You cancelled {cancels} of the last {answers}, so we ask only when we are {percent} % sure.", "Sie haben {cancels} der letzten {answers} abgesagt, darum fragen wir erst, wenn wir zu {percent} % sicher sind.";
    habit_approves: "You approved {approvals} of the last {answers}, so we ask when we are {percent} % sure.", "Sie haben {approvals} der letzten {answers} zugesagt, darum fragen wir, wenn wir zu {percent} % sicher sind.";
    habit_mixed: "You approved {approvals} and cancelled {cancels} of the last {answers}: we ask when we are {percent} % sure.", "Von den letzten {answers} haben Sie {approvals} zugesagt und {cancels} abgesagt: wir fragen, wenn wir zu {percent} % sicher sind.";
    reset: "Forget what my answers taught", "Vergessen, was meine Antworten lehrten";

    data: "Your data", "Ihre Daten";
    data_summary: "Look, or be forgotten", "Ansehen oder vergessen lassen";
    data_text: "Everything that is stored about you, as a file for programs and people.", "Alles, was über Sie gespeichert ist, als Datei für Programme und Menschen.";
    data_link: "Download everything", "Alles herunterladen";
    forget_link: "Forget me …", "Mich vergessen …";
    forget_title: "Forget me?", "Mich vergessen?";
    forget_text: "Everything that is stored about you here is deleted, and what waits is not bought. It cannot be undone, and this address stops working.", "Alles, was hier über Sie gespeichert ist, wird gelöscht, und was wartet, wird nicht gekauft. Das lässt sich nicht rückgängig machen, und diese Adresse gilt dann nicht mehr.";
    forget_sure: "Yes, delete everything about me", "Ja, alles über mich löschen";
    forget_do: "Forget me", "Mich vergessen";
    forget_back: "Back to your orders", "Zurück zu Ihren Bestellungen";
    forget_tick: "Please tick the box first.", "Bitte setzen Sie zuerst das Häkchen.";
    forgotten_title: "You are forgotten", "Sie sind vergessen";
    forgotten_text: "Everything that was stored about you here is deleted. You can close this page.", "Alles, was hier über Sie gespeichert war, ist gelöscht. Sie können die Seite schließen.";

    fault_money: "An amount is a number such as 200 or 49.90.", "Ein Betrag ist eine Zahl wie 200 oder 49,90.";
    fault_email: "This is no e-mail address: write name@example.com.", "Das ist keine E-Mail-Adresse: schreiben Sie name@example.com.";
    fault_phone: "This is no phone number: write + and the country's code first.", "Das ist keine Telefonnummer: schreiben Sie zuerst + und die Vorwahl des Landes.";
    fault_no_address: "Please give the address that we shall use.", "Bitte geben Sie die Adresse an, die wir benutzen sollen.";
    fault_zone: "This is no time zone: write its name, such as Europe/Berlin.", "Das ist keine Zeitzone: schreiben Sie ihren Namen, etwa Europe/Berlin.";
    fault_limits: "These limits cannot be: at most twelve, none below zero.", "Diese Grenzen gehen nicht: höchstens zwölf, keine unter null.";
    fault_form: "Something was missing in what was sent. Open the page anew and try again.", "In dem, was gesendet wurde, fehlte etwas. Öffnen Sie die Seite neu, und versuchen Sie es noch einmal.";
    fault_no_goods: "Please leave at least one piece, or say no.", "Bitte lassen Sie wenigstens ein Stück übrig, oder sagen Sie ab.";

    link_approve: "Order this?", "Das bestellen?";
    link_cancel: "Not order this?", "Das nicht bestellen?";
    link_delay: "Ask again later?", "Später wieder fragen?";
    link_delay_do: "Ask me again on {day}", "Wieder fragen am {day}";
    link_modify: "Change this?", "Das ändern?";
    link_modify_do: "Open your orders", "Ihre Bestellungen öffnen";
    link_done: "Answered", "Beantwortet";
    link_refused: "That was not possible", "Das ging nicht";
    link_over: "This needs no answer any more", "Das braucht keine Antwort mehr";
    link_changed_title: "This order has changed", "Diese Bestellung hat sich geändert";
    link_changed: "It changed since this message was sent, so this link cannot order it. Use the newest message, or open “Change it” in any of them.", "Sie hat sich geändert, seit diese Nachricht kam, darum kann dieser Link sie nicht bestellen. Nehmen Sie die neueste Nachricht, oder öffnen Sie „Ändern“ in einer davon.";

    forged_title: "This address is not whole", "Diese Adresse ist nicht vollständig";
    forged_text: "A part of it may have been lost on the way. Open the link from the message again, or look in the app. Nothing was changed.", "Ein Teil ging wohl unterwegs verloren. Öffnen Sie den Link aus der Nachricht noch einmal, oder sehen Sie in der App nach. Es wurde nichts geändert.";
    expired_title: "This address is too old", "Diese Adresse ist zu alt";
    expired_text: "Ask for a new link in the app, or open a newer message. Nothing was changed.", "Holen Sie in der App einen neuen Link, oder öffnen Sie eine neuere Nachricht. Es wurde nichts geändert.";
    link_expired_text: "The time to answer by this link is over. What nobody answered ended by itself, and nothing of it was bought. Look in the app or in a newer message.", "Die Zeit, mit diesem Link zu antworten, ist um. Was niemand beantwortet hat, endete von selbst, und nichts davon wurde gekauft. Sehen Sie in der App oder in einer neueren Nachricht nach.";
    gone_title: "Nobody is known here", "Hier ist niemand bekannt";
    gone_text: "What this address led to was deleted, or never was.", "Wozu diese Adresse führte, wurde gelöscht oder war nie da.";
    failed_title: "Not now", "Gerade nicht";
    failed_text: "The server could not do this just now. Nothing is bought twice if you try again in a minute.", "Der Server konnte das gerade nicht tun. Nichts wird doppelt gekauft, wenn Sie es gleich noch einmal versuchen.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|pair| pair.0).collect()
    }

    #[test]
    fn both_languages_name_the_same_values() {
        for (name, english, german) in ALL {
            assert_eq!(names(english), names(german), "{name}");
            assert!(!english.is_empty() && !german.is_empty(), "{name}");
        }
        assert_ne!(words(Language::English).title, words(Language::German).title);
    }

    #[test]
    fn values_come_where_they_are_named() {
        let said = fill("{a} and {b}, {a}{c}.", &[("a", "one"), ("b", "{a}")]);
        assert_eq!(said, "one and {a}, one.", "a value is not filled in again");
        assert_eq!(fill("an open {brace", &[]), "an open {brace");
    }
}
